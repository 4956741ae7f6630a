"""While the exchange's clock is not known, nothing is signed and nothing counts as absent."""

import pytest

from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.events import (
    Evidence,
    NotExecutedReason,
    OperatorVerdict,
    SubmissionNotExecuted,
)
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.faulty_ports import HeldStore
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))


@on_virtual_time
async def test_an_accepted_transfer_waits_and_is_sent_once_the_clock_is_known() -> None:
    world = TreasuryHarness()
    one = TreasuryInstance(world)
    one.clock_known = False
    async with running(one):
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.REQUESTED
        assert world.gateway.sent_orders == []
        assert one.level() is Level.YELLOW
        assert one.executor.last_error == "", "the ledger's store is well"

        one.clock_known = True
        await world.clock.sleep_ms(MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.DONE

    assert one.level() is Level.GREEN
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_a_signed_transfer_is_not_sent_when_the_clock_is_lost_before() -> None:
    world = TreasuryHarness()
    store = HeldStore(world.store.contents)
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    one = TreasuryInstance(world, store=store)
    async with running(one):
        await store.arrived.wait()
        one.clock_known = False
        store.release.set()
        await world.clock.sleep_ms(MINUTE_MS)
        assert world.gateway.sent_orders == []
        one.clock_known = True
        await world.clock.sleep_ms(MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.DONE

    (event,) = [e for e in await world.events() if isinstance(e, SubmissionNotExecuted)]
    assert event.why is NotExecutedReason.NOT_SENT
    assert "known to 2500 ms only" in event.cause
    assert not await world.violations()


@on_virtual_time
async def test_no_transfer_counts_as_absent_while_the_clock_is_not_known() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = HOUR_MS
    world.gateway.script.append(LOST_REPLY)
    one = TreasuryInstance(world)
    async with running(one):
        await one.requests.accept(transfer_request("t1"), "tester")
        one.clock_known = False
        await world.clock.sleep_ms(HOUR_MS - MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        with pytest.raises(TransferStateError, match="its clock was not measured yet"):
            await one.resolutions.resolve(
                (await one.transfer("t1")).transfer_id,
                OperatorVerdict.FAILED,
                tran_id="",
                note="",
                actor="tester",
            )
        one.clock_known = True
        await world.clock.sleep_ms(5 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()
