"""SIGTERM, observed from outside: no new transfer is accepted, and the next process can start at
once.
"""

from collections.abc import AsyncIterator

import anyio
import msgspec

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.stores import open_stores
from tests.arango_double import arango_double
from tests.contract.treasury_service import TreasuryDeployment
from tests.contract.treasury_service_client import TRADER_TOKEN, TRANSFER
from tests.time_limits import TIMEOUT_S


async def test_row_66_a_stopped_service_leaves_its_executors_lease_free(
    site: TreasuryDeployment,
) -> None:
    """Another instance on the same ArangoDB sends at once; it does not wait for the lease to
    expire.
    """
    with arango_double() as double:
        arango = {"S1_DB_ARANGO_URI": double.urls[0], "S1_DB_ARANGO_USER": "root"}
        await site.take_account(**arango)
        async with site.serving(**arango) as desk:
            assert (await desk.transferred("l1", "42"))["result"] == "OK"
            assert await desk.service.stop() == 0
        settings = load_settings(site.environ(**arango))
        async with open_stores(settings, SystemClock()) as stores:
            free = await stores.leases.acquire("treasury.executor", "next", 1_000)

    assert free


async def test_row_66_a_request_that_arrives_while_stopping_is_not_accepted(
    site: TreasuryDeployment,
) -> None:
    """It began before SIGTERM, so its connection is still served; its last bytes come after it."""
    begun, stopping = anyio.Event(), anyio.Event()
    body = msgspec.json.encode({"from": "SPOT", "to": "FUT", "amount_usdt": "43"})

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:10]
        begun.set()
        await stopping.wait()
        yield body[10:]

    headers = {
        "Idempotency-Key": "late",
        "Authorization": f"Bearer {TRADER_TOKEN}",
        "Content-Type": "application/json",
    }
    async with site.serving() as desk, anyio.create_task_group() as tasks:
        await desk.read_treasury_health()  # the connection is open

        async def stop() -> None:
            await begun.wait()
            desk.service.process.terminate()
            await desk.service.logged("SIGTERM: stopping")
            stopping.set()

        tasks.start_soon(stop)
        with anyio.fail_after(TIMEOUT_S):
            reply = await desk.http.post(TRANSFER, content=slowly(), headers=headers)
        code = await desk.service.ended()

    assert (reply.status_code, reply.json()["code"]) == (503, "service.stopping")
    assert code == 0
    assert await site.entries() == []
    assert await site.moved() == []
