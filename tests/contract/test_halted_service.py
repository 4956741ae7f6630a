"""A halt and real services: they refuse transfers, also those that did not get it and that start
later; it survives kill -9, is audited, and ends by the command.
"""

from pathlib import Path
from typing import Any

import httpx2
import msgspec

from tests.arango_double import arango_double
from tests.contract.service_process import StreamReader, redis_at
from tests.contract.treasury_service import OPERATIONS, TreasuryDeployment
from tests.contract.treasury_service_client import (
    HALTER_TOKEN,
    TreasuryServiceClient,
)
from tests.processes import finished


async def test_a_halt_refuses_transfers_over_a_restart_until_it_is_resumed(
    site: TreasuryDeployment,
) -> None:
    async with site.serving() as desk:
        assert (await _set_mode(desk, halted=True, reason="odd fills")).status_code == 200
        refused = await desk.transfer("h1", "41")
        assert (refused.status_code, refused.json()["code"]) == (409, "mode_halted")
        audited = await _event(site, "mode.halted")
        assert (audited["actor"], audited["reason"]) == ("on-call/halter", "odd fills")
        await desk.kill()

    async with site.serving() as desk:
        environ = {"S1_URL": await desk.service.url(), "S1_TOKEN": HALTER_TOKEN}
        code, out, _ = await finished("mode", environment=environ)
        assert code == 0
        assert out.splitlines()[0].split() == ["mode", "HALTED"]
        assert "halted by on-call/halter: odd fills" in out
        assert (await desk.transfer("h1", "41")).json()["code"] == "mode_halted"
        code, _, err = await finished("mode", "resume", "--reason", " ", environment=environ)
        assert (code, err) == (2, "error: --reason: 1 to 200 printable characters are needed\n")
        code, out, _ = await finished(
            "mode", "resume", "--reason", "explained", environment=environ
        )
        assert code == 0
        assert "transfers    accepted" in out
        assert (await desk.transferred("h1", "41"))["result"] == "OK"

    assert await site.moved() == ["SPOT 41"]


async def test_a_halt_at_one_instance_holds_at_the_other_and_at_one_that_starts_later(
    site: TreasuryDeployment, tmp_path: Path
) -> None:
    """Two instances on one ArangoDB: each change is followed by the one that did not get it."""
    with arango_double() as arango:
        shared = {"S1_DB_ARANGO_URI": arango.urls[0], "S1_DB_ARANGO_USER": "root"}
        await site.take_account(**shared)
        second = {**shared, "S1_STATE_DIR": str(tmp_path / "second")}
        async with site.serving(**shared) as one, site.serving(**second) as other:
            assert (await other.transferred("r1", "51"))["result"] == "OK"
            assert (await _set_mode(one, halted=True, reason="odd fills")).status_code == 200
            await other.service.logged("trading is HALTED by on-call/halter: odd fills")
            await _refuses(other, 409, "mode_halted")

            await one.kill()
            async with site.serving(**shared) as later:
                await _refuses(later, 409, "mode_halted")
                assert await site.moved() == ["SPOT 51"]

                assert (await _set_mode(other, halted=False, reason="explained")).status_code == 200
                await later.service.logged("trading is resumed by on-call/halter: explained")
                await later.transfer("r2", "52")
                await site.event("transfer.completed", "r2")

    assert await site.moved() == ["SPOT 51", "SPOT 52"]


async def _refuses(desk: TreasuryServiceClient, status: int, code: str) -> None:
    refused = await desk.transfer("r2", "52")
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def _set_mode(desk: TreasuryServiceClient, *, halted: bool, reason: str) -> httpx2.Response:
    return await desk.http.post(
        "/xchg/mode",
        json={"halted": halted, "reason": reason},
        headers={"Authorization": f"Bearer {HALTER_TOKEN}"},
    )


async def _event(site: TreasuryDeployment, kind: str) -> dict[str, Any]:
    async with redis_at(site.node.address.port) as redis:
        events = StreamReader(redis, OPERATIONS)
        while True:
            _, fields = await events.next()
            if fields["kind"] == kind:
                detail: dict[str, Any] = msgspec.json.decode(fields["detail_json"])
                return detail
