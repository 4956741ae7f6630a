"""`POST /xchg/treasury/transfer` for its clients: a valid request moves money once, an invalid one
is refused in one shape, and a refusal by a rule is final. Named rows are those of the fault matrix.
"""

from decimal import Decimal
from typing import Any

import anyio
import httpx2
import pytest
from msgspec.structs import replace

from chimera_s1.domain.ports.treasury_gateway import ReplyRefused, ReplyUnknown
from chimera_s1.domain.treasury.events import FailureReason
from chimera_s1.domain.treasury.limits import Wallet
from tests.contract.treasury_api_client import (
    TRANSFER,
    TreasuryApiClient,
    assert_problem,
    assert_result,
    count_events,
    event_types,
    treasury_api_client,
)
from tests.fakes.manual_clock import settle
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import LIMITS, TO_FUT, TO_SPOT, TreasuryHarness
from tests.virtual_time import VirtualLoop

DAY_MS = 86_400_000


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Waiting takes no time."""
    return "asyncio", {"loop_factory": VirtualLoop}


class TestLegal:
    async def test_ok_means_that_money_moved(self) -> None:
        async with treasury_api_client() as caller:
            reply = await caller.transfer(reason="margin")

            assert assert_result(reply, 200, "OK") == {"transfer_id": "t1", "result": "OK"}
            assert "idempotent-replayed" not in reply.headers
            assert caller.world.gateway.balance(Wallet.FUT) == Decimal(1_000_010)

    async def test_refusal_by_the_exchange_is_accepted_and_fails(self) -> None:
        async with treasury_api_client() as caller:
            refused = ReplyRefused(FailureReason.REFUSED, "-5013 insufficient balance")
            caller.world.gateway.script.append(ScriptedResponse(reply=refused))

            body = assert_result(await caller.transfer(), 200, "FAIL")

            assert body["message"] == "-5013 insufficient balance"

    async def test_unknown_outcome_is_pending_until_known(self) -> None:
        async with treasury_api_client() as caller:
            lost = ScriptedResponse(executes=True, reply=ReplyUnknown("the reply was lost"))
            caller.world.gateway.script.append(lost)
            caller.world.gateway.history_lag_ms = 4_000

            assert_result(await caller.transfer(), 202, "PENDING")
            pending = (await caller.read("transfer/t1")).json()
            await caller.world.clock.sleep_ms(30_000)

            assert (pending["state"], pending["phase"]) == ("PENDING", "unknown")
            assert assert_result(await caller.transfer(), 200, "OK")["transfer_id"] == "t1"
            assert len(caller.world.gateway.sent_orders) == 1

    @pytest.mark.parametrize(
        ("written", "moved"),
        [
            ("10", "10"),
            ("0.00000001", "0.00000001"),
            ("100.10", "100.1"),
            ("1e2", "100"),
            ("999.99999999", "999.99999999"),
            ('"250.5"', "250.5"),
            ('"10.00"', "10"),
            ('"0123.4"', "123.4"),
        ],
    )
    async def test_amount_is_moved_exactly_as_written(self, written: str, moved: str) -> None:
        async with treasury_api_client() as caller:
            caller.world.switches.limits = replace(LIMITS, min=Decimal("1e-8"))

            reply = await caller.transfer_raw(
                b'{"from": "FUT", "to": "SPOT", "amount_usdt": %b}' % written.encode()
            )

            assert_result(reply, 200, "OK")
            assert caller.world.gateway.sent_orders[0].amount == Decimal(moved)
            assert caller.world.gateway.sent_orders[0].direction is TO_SPOT
            assert (await caller.read("transfer/t1")).json()["amount"] == moved

    @pytest.mark.parametrize("header", ["t1", '"t1"', ' "t1" '])
    async def test_row_05_key_may_be_bare_quoted_or_in_the_body(self, header: str) -> None:
        async with treasury_api_client() as caller:
            assert_result(await caller.transfer(header), 200, "OK")
            again = await caller.transfer(None, transfer_id="t1")

            assert assert_result(again, 200, "OK")["transfer_id"] == "t1"
            assert again.headers["idempotent-replayed"] == "true"
            assert count_events(caller.world, "transfer.requested") == 1

    async def test_key_with_punctuation_is_found_at_its_location(self) -> None:
        async with treasury_api_client() as caller:
            reply = await caller.transfer("S4:2026-11-26,a=b+c@d~e._f")

            path = reply.headers["location"].removeprefix("/xchg/treasury/")
            assert (await caller.read(path)).json()["transfer_id"] == reply.json()["transfer_id"]

    async def test_ledger_records_actor_and_token(self) -> None:
        async with treasury_api_client() as caller:
            await caller.transfer()

            assert (
                b'"actor":"treasury-bot/trader"' in caller.world.store.contents.documents_by_seq[1]
            )


class TestIdempotent:
    async def test_row_01_repeated_request_moves_nothing_and_gets_the_same_result(self) -> None:
        async with treasury_api_client() as caller:
            first = await caller.transfer()
            before = event_types(caller.world)
            again = await caller.transfer(amount="10.000")

            assert again.json() == assert_result(first, 200, "OK")
            assert again.headers["idempotent-replayed"] == "true"
            assert event_types(caller.world) == before
            assert len(caller.world.gateway.sent_orders) == 1

    @pytest.mark.parametrize(
        ("other", "named"),
        [
            ({"amount": "12345.67"}, "different amount_usdt"),
            ({"reason": "another one"}, "different reason"),
            ({"from": "FUT", "to": "SPOT"}, "different from, to"),
        ],
    )
    async def test_row_02_key_belongs_to_one_transfer(
        self, other: dict[str, Any], named: str
    ) -> None:
        """The differing fields are named; their stored values are not shown."""
        async with treasury_api_client() as caller:
            await caller.transfer(amount="777.77", reason="the first one")
            before = event_types(caller.world)

            reply = await caller.transfer(
                **{"amount": "777.77", "reason": "the first one", **other}
            )

            body = assert_problem(reply, 422, "key_reused", [named, "use a new key"], key="t1")
            assert "777" not in body["detail"]
            assert "first" not in body["detail"]
            assert "idempotent-replayed" not in reply.headers
            assert event_types(caller.world) == before
            (kind, data), *more = caller.world.operational_events
            assert (kind, data["transfer_id"], more) == ("treasury.key_reused", "t1", [])
            assert "777" not in str(data)

    async def test_row_03_fifty_at_once_on_two_instances_move_money_once(self) -> None:
        world = TreasuryHarness()
        replies: list[httpx2.Response] = []
        start = anyio.Event()

        async def ask(caller: TreasuryApiClient) -> None:
            await start.wait()
            replies.append(await caller.transfer())

        async with (
            treasury_api_client(world) as one,
            treasury_api_client(world) as other,
            anyio.create_task_group() as tasks,
        ):
            for caller in (one, other) * 25:
                tasks.start_soon(ask, caller)
            await settle()
            start.set()

        assert len(replies) == 50
        assert {reply.json()["transfer_id"] for reply in replies} == {"t1"}
        assert {(reply.status_code, reply.json()["result"]) for reply in replies} <= {
            (200, "OK"),
            (202, "PENDING"),
        }
        assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
        assert count_events(world, "transfer.requested") == 1
        assert len(world.gateway.sent_orders) == 1

    async def test_row_07_refusal_is_final_for_its_key(self) -> None:
        async with treasury_api_client() as caller:
            first = await caller.transfer(amount="0.5")
            caller.world.switches.limits = replace(LIMITS, min=Decimal("0.1"))
            again = await caller.transfer(amount="0.5")

            says = ["0.5 USDT is below the smallest amount, 1"]
            assert again.json() == assert_problem(first, 422, "below_min", says, key="t1")
            assert "idempotent-replayed" not in first.headers
            assert again.headers["idempotent-replayed"] == "true"
            assert again.headers["location"] == first.headers["location"] == f"{TRANSFER}/t1"
            assert event_types(caller.world) == ["treasury.transfer.rejected"]
            seen = (await caller.read("transfer/t1")).json()
            assert (seen["result"], seen["phase"]) == ("FAIL", "rejected")


class TestOverLimit:
    @pytest.mark.parametrize(
        ("fields", "code", "says"),
        [
            ({"amount": "0.99999999"}, "below_min", "below the smallest amount, 1"),
            ({"amount": 1000.00000001}, "above_max", "above the largest amount, 1000"),
            ({"from": "FUT", "to": "SPOT"}, "direction_not_allowed", "allowed: SPOT_TO_"),
            ({"amount": 600}, "over_daily_cap", "remaining daily cap: 500 of 1000 left"),
        ],
    )
    async def test_row_07_refusal_names_the_rule(
        self, fields: dict[str, Any], code: str, says: str
    ) -> None:
        async with treasury_api_client() as caller:
            caller.world.switches.limits = replace(
                LIMITS, directions=(TO_FUT,), daily_cap=Decimal(1000)
            )
            await caller.transfer("before", amount=500)

            assert_problem(await caller.transfer(**fields), 422, code, [says], key="t1")

            assert len(caller.world.gateway.sent_orders) == 1
            assert (await caller.read("limits")).json()["left"] == "500"

    async def test_row_08_two_instances_never_exceed_the_cap(self) -> None:
        world = TreasuryHarness()
        world.switches.limits = replace(LIMITS, daily_cap=Decimal(100))
        codes: list[str] = []

        async def ask(caller: TreasuryApiClient, key: str) -> None:
            reply = await caller.transfer(key, amount=30)
            codes.append(reply.json().get("code", reply.json()["result"]))

        async with treasury_api_client(world) as one, treasury_api_client(world) as other:
            async with anyio.create_task_group() as tasks:  # its end is that of all requests
                for number in range(10):
                    tasks.start_soon(ask, (one, other)[number % 2], f"t{number}")
            limits = (await one.read("limits")).json()

        assert sorted(codes) == ["OK"] * 3 + ["over_daily_cap"] * 7
        assert (limits["used"], limits["left"]) == ("90", "10")
        assert count_events(world, "cap.reserved") == len(world.gateway.sent_orders) == 3

    async def test_row_09_a_higher_cap_is_for_new_keys(self) -> None:
        async with treasury_api_client() as caller:
            caller.world.switches.limits = replace(LIMITS, daily_cap=Decimal(5))
            assert_problem(await caller.transfer(), 422, "over_daily_cap", key="t1")
            caller.world.switches.limits = LIMITS

            assert_problem(await caller.transfer(), 422, "over_daily_cap", key="t1")
            assert_result(await caller.transfer("t2"), 200, "OK")

    async def test_row_10_a_lower_cap_lets_what_is_open_finish(self) -> None:
        async with treasury_api_client() as caller:
            caller.world.gateway.script.append(
                ScriptedResponse(executes=True, reply=ReplyUnknown("the reply was lost"))
            )
            caller.world.gateway.history_lag_ms = 10_000
            assert_result(await caller.transfer(amount=100), 202, "PENDING")
            caller.world.switches.limits = replace(LIMITS, daily_cap=Decimal(50))

            assert_problem(await caller.transfer("t2", amount=1), 422, "over_daily_cap", key="t2")
            limits = (await caller.read("limits")).json()
            await caller.world.clock.sleep_ms(60_000)

            assert (limits["used"], limits["left"], limits["daily_cap_usdt"]) == ("100", "0", 50.0)
            assert_result(await caller.transfer(amount=100), 200, "OK")

    async def test_row_11_a_transfer_counts_on_the_day_it_was_accepted(self) -> None:
        async with treasury_api_client() as caller:
            clock = caller.world.clock
            clock.skew_ms = DAY_MS - clock.now_ms() % DAY_MS - 5_000
            caller.world.gateway.script.append(
                ScriptedResponse(executes=True, reply=ReplyUnknown("the reply was lost"))
            )
            caller.world.gateway.history_lag_ms = 10_000
            assert_result(await caller.transfer(), 202, "PENDING")
            evening = (await caller.read("limits")).json()
            await clock.sleep_ms(60_000)
            morning = (await caller.read("limits")).json()
            seen = (await caller.read("transfer/t1")).json()

            assert (seen["state"], seen["day"]) == ("DONE", evening["day"])
            assert (evening["used"], morning["used"]) == ("10", "0")
            assert evening["day"] < morning["day"]
