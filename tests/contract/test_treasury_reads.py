"""The treasury's other routes: what became of transfers, what may be moved today, and an operator's
verdict.
"""

from typing import Any

import anyio
import httpx2
import pytest
from msgspec.structs import replace

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.limits import Direction
from tests.contract.treasury_api_client import (
    TRADER_TOKEN,
    TRANSFER,
    TreasuryApiClient,
    assert_result,
    treasury_api_client,
)
from tests.contract.web_parts import WebParts, serving
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.time_limits import TIMEOUT_S
from tests.treasury_harness import LIMITS, TO_FUT
from tests.virtual_time import EPOCH_MS, VirtualLoop

VIEW = (
    "transfer_id result state phase from to asset amount amount_usdt reason tran_id message "
    "attempts verified disputed corrected in_review created_at day"
)
LIMITS_VIEW = (
    "directions min min_usdt max max_usdt daily_cap daily_cap_usdt used used_usdt left "
    "left_usdt day"
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Waiting takes no time."""
    return "asyncio", {"loop_factory": VirtualLoop}


async def unresolved(caller: TreasuryApiClient, key: str = "t1") -> None:
    """A transfer whose outcome only an operator can decide."""
    caller.world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("no reply came")))
    assert_result(await caller.transfer(key), 202, "PENDING")


def refusal(reply: httpx2.Response, status: int, code: str) -> str:
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    detail: str = reply.json()["detail"]
    return detail


async def test_transfer_view_shows_result_and_progress() -> None:
    async with treasury_api_client() as caller:
        await caller.transfer(amount="12.50", reason="margin")
        await caller.world.clock.sleep_ms(10_000)
        seen = (await caller.read("transfer/t1")).json()

        assert " ".join(sorted(seen)) == " ".join(sorted(VIEW.split()))
        tran_id, created_at = seen.pop("tran_id"), seen.pop("created_at")
        assert tran_id == caller.world.gateway.movements_made[0].tran_id
        assert EPOCH_MS <= created_at <= caller.world.clock.now_ms()
        assert seen == {
            "transfer_id": "t1",
            "result": "OK",
            "state": "DONE",
            "phase": "done",
            "from": "SPOT",
            "to": "FUT",
            "asset": "USDT",
            "amount": "12.5",
            "amount_usdt": 12.5,
            "reason": "margin",
            "message": "",
            "attempts": 1,
            "verified": True,
            "disputed": False,
            "corrected": False,
            "in_review": False,
            "day": "2026-11-30",
        }


async def test_the_list_shows_a_transfer_as_it_is_shown_alone() -> None:
    async with treasury_api_client() as caller:
        await caller.transfer(reason="margin")
        await caller.world.clock.sleep_ms(10_000)

        [listed] = (await caller.read("transfers")).json()["transfers"]

        assert listed == (await caller.read("transfer/t1")).json()


async def test_pages_show_each_transfer_once_the_newest_first() -> None:
    """Also those accepted within one millisecond, and while new ones come."""
    async with treasury_api_client() as caller:
        for number in range(7):
            await caller.transfer(f"t{number}", amount="0.1" if number == 3 else 10)
        await caller.world.clock.sleep_ms(5_000)
        shown: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await caller.read("transfers?limit=3" + cursor)).json()
            shown += [row["transfer_id"] for row in page["transfers"]]
            await caller.transfer(f"later{len(shown)}")
            await caller.world.clock.sleep_ms(5_000)
            cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else None
        failed = (await caller.read("transfers?state=FAILED")).json()["transfers"]

        assert shown == [f"t{number}" for number in reversed(range(7))]
        assert [row["transfer_id"] for row in failed] == ["t3"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("transfer/nobody", 404, "treasury.not_found"),
        ("transfer/a%20b", 400, "value.invalid"),
        ("transfers?state=done", 400, "request.invalid"),
        ("transfers?limit=0", 400, "request.invalid"),
        ("transfers?limit=501", 400, "request.invalid"),
        ("transfers?cursor=", 400, "request.invalid"),
        ("transfers?cursor=%C3%A9", 400, "request.invalid"),
        ("transfers?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTkgYQ", 400, "request.invalid"),
    ],
)
async def test_invalid_read_is_a_problem(path: str, status: int, code: str) -> None:
    async with treasury_api_client() as caller:
        reply = await caller.read(path)

        assert refusal(reply, status, code)
        assert reply.headers["content-type"] == "application/problem+json"


async def test_limits_are_those_in_force_and_what_is_left_of_today() -> None:
    async with treasury_api_client() as caller:
        caller.world.switches.limits = replace(LIMITS, directions=(TO_FUT,))
        await caller.transfer(amount="0.25")
        await caller.transfer("t2", amount="2.25")
        said = (await caller.read("limits")).json()

        assert " ".join(said) == LIMITS_VIEW
        assert said["directions"] == [Direction.SPOT_TO_FUT.value]
        assert (said["min"], said["max"], said["daily_cap"]) == ("1", "1000", "10000")
        assert (said["used"], said["used_usdt"]) == ("2.25", 2.25)
        assert (said["left"], said["left_usdt"]) == ("9997.75", 9997.75)
        assert said["day"] == "2026-11-30"


class TestResolve:
    async def test_operator_resolves_as_done(self) -> None:
        async with treasury_api_client() as caller:
            await unresolved(caller)
            reply = await caller.resolve("t1", verdict="DONE", tran_id="4711")

            assert reply.status_code == 200, reply.text
            seen = reply.json()
            assert (seen["result"], seen["tran_id"], seen["verified"]) == ("OK", "4711", True)
            assert assert_result(await caller.transfer(), 200, "OK")
            newest = caller.world.store.contents.documents_by_seq[
                max(caller.world.store.contents.documents_by_seq)
            ]
            assert b'"actor":"operator/resolver"' in newest
            assert b"seen in the exchange's own history" in newest

    async def test_operator_resolves_as_failed(self) -> None:
        async with treasury_api_client() as caller:
            await unresolved(caller)
            early = await caller.resolve("t1", verdict="FAILED")
            assert "may still execute the request" in refusal(early, 409, "treasury.state")
            await caller.world.clock.sleep_ms(70_000)
            reply = await caller.resolve("t1", verdict="FAILED")

            assert (reply.status_code, reply.json()["state"]) == (200, "FAILED")
            assert (await caller.read("limits")).json()["used"] == "0"
            body = assert_result(await caller.transfer(), 200, "FAIL")
            assert body["message"] == "seen in the exchange's own history"

    async def test_completed_transfer_or_claimed_movement_cannot_be_resolved(self) -> None:
        async with treasury_api_client() as caller:
            await caller.transfer("done")
            tran_id = caller.world.gateway.movements_made[0].tran_id
            await caller.world.clock.sleep_ms(10_000)
            await unresolved(caller, "open")
            over = await caller.resolve("done", verdict="FAILED")
            taken = await caller.resolve("open", verdict="DONE", tran_id="4711")
            again = await caller.resolve("open", verdict="DONE", tran_id="4711")
            await unresolved(caller, "third")
            stolen = await caller.resolve("third", verdict="DONE", tran_id="4711")
            unknown = await caller.resolve("nobody", verdict="FAILED")

            assert taken.status_code == 200, tran_id
            assert "is done" in refusal(over, 409, "treasury.state")
            assert "is done" in refusal(again, 409, "treasury.state")
            assert "belongs to transfer open" in refusal(stolen, 409, "treasury.state")
            assert "transfer nobody not found" in refusal(unknown, 404, "treasury.not_found")

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({}, "verdict is missing"),
            ({"verdict": "PENDING"}, "verdict must be one of DONE, FAILED"),
            ({"verdict": "DONE"}, "tran_id is missing"),
            ({"verdict": "DONE", "tran_id": 4711}, "tran_id is not an id of a movement"),
            ({"verdict": "DONE", "tran_id": "04711"}, "tran_id is not an id of a movement"),
            ({"verdict": "FAILED", "tran_id": "4711"}, "tran_id is allowed with DONE only"),
            ({"verdict": "FAILED", "evidence": "short"}, "evidence has 5 characters; send 10"),
            ({"verdict": "FAILED", "evidence": " " * 20}, "evidence has 0 characters without"),
            ({"verdict": "FAILED", "evidence": "x" * 501}, "evidence has 501 characters"),
            ({"verdict": "FAILED", "why": "because"}, "why is unknown"),
        ],
    )
    async def test_invalid_verdict_is_refused(self, fields: dict[str, Any], says: str) -> None:
        async with treasury_api_client() as caller:
            await unresolved(caller)
            before = len(caller.world.store.contents.documents_by_seq)

            assert says in refusal(await caller.resolve("t1", **fields), 400, "request.invalid")
            assert len(caller.world.store.contents.documents_by_seq) == before


async def test_the_page_for_people_shows_what_a_transfer_takes() -> None:
    async with treasury_api_client() as caller:
        page = (await caller.client.get("/schema")).text

        assert "Takes <code>application/json</code>" in page
        assert "<code>amount_usdt</code>" in page
        assert "number or string" in page


def test_responses_are_not_cacheable() -> None:
    """The server adds the header to every reply, once; here a transfer, a view and a problem."""

    async def main() -> list[httpx2.Response]:
        async with treasury_api_client() as caller:
            parts: WebParts = caller.parts
            async with (
                serving(parts) as server,
                httpx2.AsyncClient(
                    base_url=server.url,
                    headers={"Authorization": f"Bearer {TRADER_TOKEN}", "Idempotency-Key": "t1"},
                    trust_env=False,
                    timeout=TIMEOUT_S,
                ) as client,
            ):
                terms = {"from": "SPOT", "to": "FUT", "amount_usdt": 10}
                return [
                    await client.post(TRANSFER, json=terms),
                    await client.get(f"{TRANSFER}/t1"),
                    await client.post(TRANSFER, json={}),
                ]

    replies = anyio.run(main)

    assert [reply.status_code for reply in replies] == [200, 200, 400]
    assert {reply.headers["cache-control"] for reply in replies} == {"no-store"}
