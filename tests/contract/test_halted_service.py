"""A halt and a real service: it refuses transfers, survives kill -9, is audited, and ends by the
command.
"""

from typing import Any

import msgspec

from tests.contract.service_process import StreamReader, redis_at
from tests.contract.treasury_service import OPERATIONS, TreasuryDeployment
from tests.contract.treasury_service_client import HALTER_TOKEN
from tests.processes import finished


async def test_a_halt_refuses_transfers_over_a_restart_until_it_is_resumed(
    site: TreasuryDeployment,
) -> None:
    async with site.serving() as desk:
        body = {"halted": True, "reason": "odd fills"}
        halted = await desk.http.post(
            "/xchg/mode", json=body, headers={"Authorization": f"Bearer {HALTER_TOKEN}"}
        )
        assert halted.status_code == 200
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
        assert (await desk.transfer("h1", "41")).json()["result"] == "OK"

    assert await site.moved() == ["SPOT 41"]


async def _event(site: TreasuryDeployment, kind: str) -> dict[str, Any]:
    async with redis_at(site.node.address.port) as redis:
        events = StreamReader(redis, OPERATIONS)
        while True:
            _, fields = await events.next()
            if fields["kind"] == kind:
                detail: dict[str, Any] = msgspec.json.decode(fields["detail_json"])
                return detail
