"""Fault matrix: sending a transfer."""

import pytest

from chimera_s1.domain.ports.treasury_gateway import (
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    RequestNotSent,
)
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    OutcomeUnknown,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferRequested,
)
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.fault_injection import FaultAction, FaultInjector, RestartingInstance
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
LONG_MS = 25 * MINUTE_MS
"""Long enough to prove absence."""

UNCERTAIN = (
    "502 text/html",
    "200 without a body",
    "200 without tranId",
    "200 cut short",
    "500 -1000",
    "503 -1006",
    "504 -1007",
    "403 text/html",
)


@on_virtual_time
async def test_row_13_crash_before_acceptance_and_retry_move_money_once() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.CRASH_BEFORE, 1, "store.append")
    process = RestartingInstance(world, faults)
    answer = await process.request_and_run(transfer_request("t1"), MINUTE_MS)

    assert (faults.fired, process.restarts) == ("store.append", 1)
    assert not answer.replayed
    assert (await TreasuryInstance(world).transfer("t1")).phase is Phase.DONE
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_14_retry_after_a_crash_returns_the_accepted_transfer() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.CRASH_AFTER, 1, "store.append")
    process = RestartingInstance(world, faults)
    answer = await process.request_and_run(transfer_request("t1"), MINUTE_MS)

    assert (faults.fired, process.restarts) == ("store.append", 1)
    assert answer.replayed
    assert await world.count(TransferRequested) == 1
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_15_crash_before_sending_ends_as_absent() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.CRASH_BEFORE, 1, "gateway.submit")
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), LONG_MS)
    ended = await TreasuryInstance(world).transfer("t1")

    assert (faults.fired, process.restarts) == ("gateway.submit", 1)
    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.ABSENT)
    assert ended.attempt == 1
    assert not world.gateway.sent_orders
    assert not await world.violations()


@on_virtual_time
async def test_row_16_crash_before_recording_is_resolved_from_the_history() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.CRASH_AFTER, 1, "gateway.submit")
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), MINUTE_MS)
    ended = await TreasuryInstance(world).transfer("t1")

    assert (faults.fired, process.restarts) == ("gateway.submit", 1)
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_17_lost_request_fails_once_absence_is_proven() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("no reply within 12 s")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(15 * MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        await world.clock.sleep_ms(LONG_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert await world.count(OutcomeUnknown) == 1
    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.ABSENT)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_18_lost_reply_is_resolved_from_the_history() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(
        ScriptedResponse(executes=True, reply=ReplyUnknown("read time-out"))
    )
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(10_000)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert await world.count(OutcomeUnknown) == 1
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()


@pytest.mark.parametrize(
    ("cause", "executes"),
    [*((cause, True) for cause in UNCERTAIN), (UNCERTAIN[0], False)],
)
@on_virtual_time
async def test_row_19_and_20_uncertain_reply_is_neither_failed_at_once_nor_sent_again(
    cause: str,
    executes: bool,
) -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = 5 * MINUTE_MS
    world.gateway.script.append(ScriptedResponse(executes=executes, reply=ReplyUnknown(cause)))
    async with running(TreasuryInstance(world)) as one:
        answer = await one.requests.accept(transfer_request("t1"), "tester")
        assert answer.transfer.status is TransferStatus.PENDING
        await world.clock.sleep_ms(4 * MINUTE_MS)
        soon = await one.transfer("t1")
        await world.clock.sleep_ms(3 * MINUTE_MS if executes else LONG_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert (soon.phase, soon.message) == (Phase.UNKNOWN, cause)
    assert ended.status is (TransferStatus.DONE if executes else TransferStatus.FAILED)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@pytest.mark.parametrize("cause", ["429 -1003", "418 -1003", "503 Service Unavailable"])
@on_virtual_time
async def test_row_21_rate_limited_request_is_retried_after_the_given_wait(cause: str) -> None:
    world = TreasuryHarness()
    world.gateway.script += [ScriptedResponse(reply=ReplyNotProcessed(cause, 20_000))] * 2
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")
    started = [e for e in await world.events() if isinstance(e, SubmissionStarted)]

    assert not world.gateway.script
    assert [each.attempt for each in started] == [1, 2, 3]
    assert started[1].signed_at - started[0].signed_at >= 20_000
    assert started[2].signed_at - started[1].signed_at >= 20_000
    assert len({each.request_hash for each in started}) == 3
    assert (ended.phase, ended.attempt) == (Phase.DONE, 3)
    assert not await world.violations()


@on_virtual_time
async def test_row_21_transfer_fails_after_three_unprocessed_attempts() -> None:
    world = TreasuryHarness()
    world.gateway.script += [ScriptedResponse(reply=ReplyNotProcessed("429 -1003", 1_000))] * 3
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

        assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.NOT_PROCESSED)
        assert one.ledger.open_transfers.cap_on(ended.day).used == 0
    assert not world.gateway.script
    assert len(world.gateway.sent_orders) == 3
    assert not await world.violations()


@on_virtual_time
async def test_row_22_rejected_timestamp_refreshes_the_clock_and_is_retried() -> None:
    world = TreasuryHarness()
    async with running(TreasuryInstance(world, skew_ms=3_000, resyncs=True)) as one:
        answer = await one.requests.accept(transfer_request("t1"), "tester")
    first, second = world.gateway.sent_orders

    assert one.clock_refreshes == 1
    assert await world.count(SubmissionNotExecuted) == 1
    assert answer.transfer.status is TransferStatus.DONE
    assert second.signed_at < first.signed_at
    assert not await world.violations()


@pytest.mark.parametrize(
    ("kind", "message", "alarms"),
    [
        (FailureReason.REFUSED, "400 -5013 insufficient balance", False),
        (FailureReason.FORBIDDEN, "400 -2015 no permission", True),
        (FailureReason.FORBIDDEN, "400 -1022 signature", True),
    ],
)
@on_virtual_time
async def test_row_23_refused_transfer_fails_at_once_and_releases_its_cap(
    kind: FailureReason,
    message: str,
    alarms: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(reply=ReplyRefused(kind, message)))
    async with running(TreasuryInstance(world)) as one:
        answer = await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)

        assert one.ledger.open_transfers.cap_on(answer.transfer.day).used == 0
    assert not world.gateway.script
    assert (answer.transfer.phase, answer.transfer.failure_reason) == (Phase.FAILED, kind)
    assert len(world.gateway.sent_orders) == 1
    assert any(record.levelname == "ERROR" for record in caplog.records) is alarms
    assert not await world.violations()


@on_virtual_time
async def test_row_24_unsent_request_is_retried() -> None:
    world = TreasuryHarness()
    world.gateway.script += [ScriptedResponse(reply=RequestNotSent("connection refused"))] * 4
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert (ended.phase, ended.attempt) == (Phase.DONE, 5)
    assert not await world.violations()


@on_virtual_time
async def test_row_24_transfer_expires_unsent_while_the_exchange_is_unreachable() -> None:
    world = TreasuryHarness()
    world.gateway.script += [ScriptedResponse(reply=RequestNotSent("connection refused"))] * 500
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(world.policy.max_age_ms + MINUTE_MS)
        ended = await one.transfer("t1")
        attempts = len(world.gateway.sent_orders)
        await world.clock.sleep_ms(MINUTE_MS)

    assert attempts > 10
    assert len(world.gateway.sent_orders) == attempts
    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.EXPIRED)
    assert "connection refused" in ended.message
    assert not await world.violations()
