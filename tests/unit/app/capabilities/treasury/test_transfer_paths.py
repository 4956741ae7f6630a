"""A transfer from its request to its end, on stores and an exchange in memory."""

from contextlib import nullcontext
from decimal import Decimal

import anyio
import pytest

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.ledger.engine import STALE_READ_MAX_MS
from chimera_s1.app.capabilities.treasury.execute_transfers import CLOCK_REFRESH_MS
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.treasury_gateway import ReplyNotProcessed, ReplyUnknown
from chimera_s1.domain.treasury.commands import RequestTransfer, make_terms
from chimera_s1.domain.treasury.events import OperatorVerdict, TransferVerified
from chimera_s1.domain.treasury.limits import Wallet
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import (
    LIMITS,
    TO_FUT,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import run_on_virtual_time


def test_transfer_moves_money_once() -> None:
    """OK within the answer, the balances moved, verified later."""

    async def main() -> None:
        world = TreasuryHarness()
        async with running(TreasuryInstance(world)) as one:
            answer = await one.requests.accept(transfer_request("t1"), "tester")

            assert answer.transfer.status is TransferStatus.DONE
            assert not answer.replayed
            assert world.gateway.balance(Wallet.FUT) == Decimal(1_000_010)
            again = await one.requests.accept(transfer_request("t1"), "tester")
            assert again.replayed
            assert len(world.gateway.sent_orders) == 1
            await world.clock.sleep_ms(10_000)
            found = await one.ledger.find(answer.transfer.transfer_id)
            assert found is not None
            assert found.verified

    run_on_virtual_time(main)


def test_one_history_read_verifies_all_its_transfers() -> None:
    """Each transfer has its own event; only the first reads the history."""

    async def main() -> None:
        world = TreasuryHarness()
        async with running(TreasuryInstance(world)) as one:
            asked = [transfer_request(f"t{number}", 10 + number) for number in range(20)]
            async with anyio.create_task_group() as tasks:
                for each in asked:
                    tasks.start_soon(one.requests.accept, each, "tester")
            await world.clock.sleep_ms(10_000)

            assert await world.count(TransferVerified) == len(asked)
            assert world.gateway.completed_reads == 1

    run_on_virtual_time(main)


def test_lost_reply_is_found_in_the_history() -> None:
    """PENDING at first, DONE by reconciliation, one movement."""

    async def main() -> None:
        world = TreasuryHarness()
        world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
        async with running(TreasuryInstance(world)) as one:
            answer = await one.requests.accept(transfer_request("t1"), "tester")
            await world.clock.sleep_ms(10_000)
            found = await one.ledger.find(answer.transfer.transfer_id)

            assert found is not None
            assert found.phase is Phase.DONE
            assert len(world.gateway.sent_orders) == 1

    run_on_virtual_time(main)


def test_lost_request_fails_after_enough_clean_reads() -> None:
    async def main() -> None:
        world = TreasuryHarness()
        world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("reset")))
        async with running(TreasuryInstance(world)) as one:
            answer = await one.requests.accept(transfer_request("t1"), "tester")
            assert answer.transfer.status is TransferStatus.PENDING
            await world.clock.sleep_ms(3_000_000)
            found = await one.ledger.find(answer.transfer.transfer_id)

            assert found is not None
            assert found.phase is Phase.FAILED
            assert one.ledger.open_transfers.cap_on(found.day).used == 0

    run_on_virtual_time(main)


def test_operator_verdict_is_corrected_by_late_evidence() -> None:
    """The history lags for longer than the operator has waited; the money had moved."""

    async def main() -> None:
        world = TreasuryHarness()
        world.gateway.history_lag_ms = 200_000
        world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
        async with running(TreasuryInstance(world)) as one:
            answer = await one.requests.accept(transfer_request("t1"), "tester")
            await world.clock.sleep_ms(70_000)
            ended = await one.resolutions.resolve(
                answer.transfer.transfer_id,
                OperatorVerdict.FAILED,
                tran_id="",
                note="nothing in the history",
                actor="operator",
            )
            assert ended.phase is Phase.FAILED

            await world.clock.sleep_ms(600_000)
            found = await one.ledger.find(answer.transfer.transfer_id)

            assert found is not None
            assert (found.phase, found.corrected) == (Phase.DONE, True)
            assert one.ledger.open_transfers.cap_on(found.day).used == Decimal(10)
            assert await world.violations() == []

    run_on_virtual_time(main)


def test_attempts_after_a_rejected_timestamp_leave_time_to_refresh_the_clock() -> None:
    """Three attempts within two seconds would all fail with the same wrong clock."""

    async def main() -> None:
        world = TreasuryHarness()
        suspect = ReplyNotProcessed("-1021", 0, clock_suspect=True)
        world.gateway.script += [ScriptedResponse(reply=suspect), ScriptedResponse(reply=suspect)]
        async with running(TreasuryInstance(world)) as one:
            await one.requests.accept(transfer_request("t1"), "tester")
            await world.clock.sleep_ms(20_000)
            sent = [order.signed_at for order in world.gateway.sent_orders]

            assert len(sent) == 3
            assert sent[1] - sent[0] >= CLOCK_REFRESH_MS
            assert sent[2] - sent[1] >= 2 * CLOCK_REFRESH_MS

    run_on_virtual_time(main)


class LaggingStore(MemoryEventStore):
    """The head read is stale while `lags`."""

    lags = False

    async def head(self) -> LedgerHead:
        return LedgerHead() if self.lags else await super().head()


def test_stale_heads_are_damage_only_after_the_limit() -> None:
    """A good read in between starts the period again."""

    async def main() -> None:
        world = TreasuryHarness()
        store = LaggingStore("treasury")
        ledger = TreasuryInstance(world, store=store).ledger
        request = RequestTransfer(
            transfer_request("t1").transfer_id,
            make_terms(
                TO_FUT, Decimal(10), "", mode=world.mode, limits=LIMITS, at=world.clock.now_ms()
            ),
        )
        await ledger.execute(transfer_request("t1").transfer_id, request, "tester")
        for lags in (True, False, True):
            store.lags = lags
            for _ in range(20):
                with pytest.raises(StoreUnavailableError) if lags else nullcontext():
                    await ledger.catch_up()
                await world.clock.sleep_ms(1_000)
        assert not ledger.damage

        await world.clock.sleep_ms(STALE_READ_MAX_MS)
        with pytest.raises(LedgerDamagedError):
            await ledger.catch_up()

    run_on_virtual_time(main)
