"""The treasury's service while a dependency is unavailable, full, locked or flooded."""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from chimera_s1.app.stores import SQLITE_FILE
from tests.arango_double import arango_double
from tests.contract.treasury_service import POST, TreasuryDeployment
from tests.contract.treasury_service_client import OTHER_TOKEN, UNDECIDED
from tests.processes import finished
from tests.time_limits import TIMEOUT_S

FLOOD = 400
FLOODERS = 40


@contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """During the block the process *pid* can open nothing more."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    lowest = next(number for number in range(len(taken) + 1) if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


async def test_row_53_money_moves_while_redis_is_gone(site: TreasuryDeployment) -> None:
    """The events come once it is back, in order, also those that went down with it."""
    async with site.serving() as desk:
        assert (await desk.transferred("r1", "61"))["result"] == "OK"
        await site.node.kill()
        try:
            assert (await desk.transferred("r2", "62"))["result"] == "OK"
            assert (await desk.service.readiness(503))["components"]
            assert "events do not reach ops:events" in (await desk.read_treasury_health())["detail"]
            assert (await desk.transferred("r3", "63", back=True))["result"] == "OK"
        finally:
            await site.node.start()
        await desk.service.readiness(200)
        await site.event("transfer.completed", "r3")
        await site.wait_until_idle()

    assert await site.moved() == ["SPOT 61", "SPOT 62", "FUT 63"]
    assert await site.violations() == []


async def test_row_50_a_second_process_on_the_same_file_is_refused(
    site: TreasuryDeployment, tmp_path: Path
) -> None:
    """One sentence, exit code 2; the first service continues."""
    async with site.serving() as desk:
        environ = site.environ(
            S1_STATE_DIR=str(tmp_path / "other"),
            S1_DB_SQLITE_PATH=str(site.state_dir / SQLITE_FILE),
            S1_HTTP_PORT="0",
            S1_LOG_FORMAT="json",
        )
        code, stdout, stderr = await finished("serve", environment=environ)
        assert (code, stdout) == (2, "")
        [sentence] = stderr.strip().splitlines()
        assert sentence.startswith("error: ")
        assert SQLITE_FILE in sentence
        assert (await desk.transferred("w1"))["result"] == "OK"


async def test_row_12_flood_of_one_actor_is_limited_and_others_are_served(
    site: TreasuryDeployment,
) -> None:
    """What gets 429 leaves nothing behind in the ledger."""
    seen: Counter[int] = Counter()
    numbers = iter(range(FLOOD))
    async with site.serving(S1_RATE_LIMIT_PER_S="2") as desk:

        async def flood() -> None:
            for number in numbers:
                reply = await desk.transfer(f"flood{number}", "0.5")
                while reply.status_code in UNDECIDED:  # on a busy machine
                    reply = await desk.transfer(f"flood{number}", "0.5")
                seen[reply.status_code] += 1
                assert ("retry-after" in reply.headers) == (reply.status_code == 429)

        async with anyio.create_task_group() as tasks:
            for _ in range(FLOODERS):
                tasks.start_soon(flood)
            other = await desk.transferred("calm", "64", token=OTHER_TOKEN)
        assert other["result"] == "OK"
        await site.wait_until_idle()

    assert set(seen) == {422, 429}
    assert seen[429] > seen[422]
    asked = [record.type for each in await site.entries() for record in each.commit.events]
    assert asked.count("treasury.transfer.rejected") == seen[422]
    assert asked.count("treasury.transfer.requested") == 1


async def test_row_71_process_without_file_descriptors_refuses_new_connections_and_recovers(
    site: TreasuryDeployment,
) -> None:
    """The transfer waits and reports the reason; open connections are served throughout."""
    async with site.serving() as desk, newcomer(await desk.service.url()) as http:
        assert (await desk.transferred("f1", "65"))["result"] == "OK"
        with no_more_files(desk.service.process.pid):
            with pytest.raises(httpx2.TransportError):
                await http.get("/ready")
            async with desk.transfer_in_background("f2", "66"):
                kept = await site.event("submission.not_executed", "f2")
        await site.event("transfer.completed", "f2")
        assert (await http.get("/ready")).status_code == 200
        await site.wait_until_idle()

    assert "Too many open files" in kept["cause"]
    assert await site.moved() == ["SPOT 65", "SPOT 66"]
    assert await site.violations() == []


async def test_row_38_and_39_unavailable_arango_ledger_accepts_and_loses_nothing(
    site: TreasuryDeployment,
) -> None:
    """New requests get 503; what the exchange has answered meanwhile is written once it is back."""
    with arango_double() as arango:
        environ = {"S1_DB_ARANGO_URI": arango.urls[0], "S1_DB_ARANGO_USER": "root"}
        await site.take_account(**environ)
        async with site.serving(**environ) as desk:
            await site.sim.arm(POST, "execute-then-delay:500")
            async with desk.transfer_in_background("a1", "67"):
                await site.fired()
                arango.take_down()
                refused = await desk.transfer("a2", "68")
                await desk.service.logged("transfer a1: cannot record reply ReplyAccepted")
            assert (refused.status_code, refused.json()["code"]) == (503, "store.unavailable")
            assert "retry-after" in refused.headers
            assert (
                "the ledger's store cannot be used" in (await desk.read_treasury_health())["detail"]
            )
            assert await site.moved() == ["SPOT 67"]

            arango.bring_up()
            event = await site.event("transfer.completed", "a1")
            assert event["evidence"] == "reply"
            assert (await desk.transferred("a2", "68"))["result"] == "OK"

    assert await site.moved() == ["SPOT 67", "SPOT 68"]


def newcomer(url: str) -> httpx2.AsyncClient:
    """A client without an open connection."""
    return httpx2.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)
