"""Cancels: one request a call, and the order is read until it is known how it ended."""

import anyio
import pytest

from chimera_s1.domain.errors import (
    ExchangeUnavailableError,
    OrderNotPlannedError,
)
from chimera_s1.domain.execution.events import CancelCause, OrderEnding
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestTurnedAway,
)
from tests.execution_harness import (
    ACTOR,
    ENTRY,
    STOP,
    ExecutionHarness,
    ExecutionInstance,
    SlowStore,
    entry,
    running,
    stop,
)
from tests.fakes.order_exchange import UNKNOWN_ORDER, Handling
from tests.virtual_time import on_virtual_time

LOST = OutcomeUnknown(cause="connection reset")


@on_virtual_time
async def test_a_cancel_is_certain_once_the_order_was_read() -> None:
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(visible_after_ms=3_000))
    one = ExecutionInstance(world)
    await one.place(entry())
    started_ms = world.clock.monotonic_ms()
    cancelled = await one.cancel()
    assert isinstance(cancelled.reply, RequestAccepted)
    assert cancelled.order.ending is OrderEnding.CANCELED
    assert 3_000 <= world.clock.monotonic_ms() - started_ms < 7_000
    assert len(world.exchange.cancelled) == 1


@on_virtual_time
async def test_a_cancel_for_a_timeout_ends_the_order_as_timed_out() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    cancelled = await one.cancelling.cancel(ENTRY, CancelCause.TIMEOUT, ACTOR)
    assert cancelled.order.ending is OrderEnding.TIMEOUT


@on_virtual_time
async def test_a_cancel_answered_2011_for_ever_although_filled() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    world.exchange.fill(ENTRY, "2", "t1")  # and its event is lost
    first = await one.cancel()
    assert first.reply == UNKNOWN_ORDER
    assert first.order.ending is OrderEnding.FILLED
    assert first.order.filled_qty == 2
    second = await one.cancel()
    assert second.reply is None
    assert len(world.exchange.cancelled) == 1


@on_virtual_time
async def test_a_fill_that_reads_show_late_is_waited_for() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    world.exchange.fill(ENTRY, "2", "t1")
    world.exchange.order(ENTRY).visible_ms += 4_000
    assert (await one.cancel()).order.ending is OrderEnding.FILLED


@on_virtual_time
async def test_2011_while_the_order_is_open_is_recorded_and_the_next_call_tries_again() -> None:
    """A cancel that overtakes its order."""
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(executes=False, reply=UNKNOWN_ORDER))
    one = ExecutionInstance(world)
    await one.place(entry())
    first = await one.cancel()
    assert first.order.is_open
    assert "execution.cancel.refused" in await world.event_types()
    assert len(world.exchange.cancelled) == 1
    assert (await one.cancel()).order.ending is OrderEnding.CANCELED
    assert len(world.exchange.cancelled) == 2


@pytest.mark.parametrize("executed", [True, False])
@on_virtual_time
async def test_a_lost_reply_of_a_cancel(*, executed: bool) -> None:
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(executes=executed, reply=LOST))
    one = ExecutionInstance(world)
    await one.place(entry())
    cancelled = await one.cancel()
    assert cancelled.reply == LOST
    assert cancelled.order.is_open is not executed
    assert len(world.exchange.cancelled) == 1


@pytest.mark.parametrize(
    "reply",
    [RequestTurnedAway(cause="429", clock_suspect=True), RequestNotSent(cause="no connection")],
    ids=lambda reply: type(reply).__name__,
)
@on_virtual_time
async def test_what_was_not_processed_is_not_read(
    reply: RequestTurnedAway | RequestNotSent,
) -> None:
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(executes=False, reply=reply))
    one = ExecutionInstance(world)
    await one.place(entry())
    cancelled = await one.cancel()
    assert cancelled.order.is_open
    assert not world.exchange.found
    assert one.clock_suspected == ([Venue.PERP] if isinstance(reply, RequestTurnedAway) else [])


@on_virtual_time
async def test_a_late_cancel_is_not_sent() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    world.exchange.connect_ms = 1_500
    assert isinstance((await one.cancel()).reply, RequestNotSent)
    assert not world.exchange.cancelled


@on_virtual_time
async def test_an_unknown_order_is_resolved_before_it_is_cancelled() -> None:
    """The order is executed after 1.5 s; a cancel before that would have found nothing."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(after_ms=1_500, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        cancelled = await one.cancel()
    assert cancelled.order.ending is OrderEnding.CANCELED
    assert len(world.exchange.cancelled) == 1


@on_virtual_time
async def test_an_order_in_flight_is_cancelled_after_its_reply() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=800))
    async with running(ExecutionInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        await world.clock.sleep_ms(100)
        cancelled = await one.cancel()
    assert cancelled.order.ending is OrderEnding.CANCELED
    assert len(world.exchange.cancelled) == 1


@on_virtual_time
async def test_an_absent_order_is_cancelled_by_its_client_id() -> None:
    """It may yet appear. -2011 says that it has not: then it stays absent."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        cancelled = await one.cancel()
    assert cancelled.order.phase is OrderPhase.ABSENT
    assert cancelled.reply == UNKNOWN_ORDER
    [sent] = world.exchange.cancelled
    assert (sent.client_id, sent.exchange_id) == (ENTRY, "")


@on_virtual_time
async def test_an_absent_order_that_has_appeared_is_cancelled() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(after_ms=15_000, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(15_100)
        assert one.order().phase is OrderPhase.ABSENT
        cancelled = await one.cancel()
    assert cancelled.order.ending is OrderEnding.CANCELED
    assert world.exchange.order(ENTRY).status == "CANCELED"


@on_virtual_time
async def test_an_order_that_stays_unknown_is_cancelled_all_the_same() -> None:
    """Lookups fail for longer than a cancel waits for them."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply=LOST))
    world.exchange.find_error = ExchangeUnavailableError("no reply within 5 s")
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        started_ms = world.clock.monotonic_ms()
        await one.cancel()
        assert world.clock.monotonic_ms() - started_ms < 20_000
    assert world.exchange.order(ENTRY).status == "CANCELED"


@on_virtual_time
async def test_the_stream_ends_the_wait() -> None:
    """Reads show the cancel only after a minute."""
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(visible_after_ms=60_000))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        started_ms = world.clock.monotonic_ms()

        async def hear() -> None:
            await world.clock.sleep_ms(150)
            one.streams[Venue.PERP].send(world.exchange.order(ENTRY).report(ReportSource.STREAM))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            cancelled = await one.cancel()
    assert cancelled.order.ending is OrderEnding.CANCELED
    assert world.clock.monotonic_ms() - started_ms < 200


@on_virtual_time
async def test_what_a_triggered_algo_order_became_is_cancelled() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(stop())
        child = world.exchange.trigger(STOP)
        await world.clock.sleep_ms(2_000)
        cancelled = await one.cancel(STOP)
    assert world.exchange.cancelled[0].family is OrderFamily.PERP_ORDER
    assert world.exchange.cancelled[0].exchange_id == child.exchange_id
    assert child.status == "CANCELED"
    assert cancelled.order.phase is OrderPhase.CLOSED


@on_virtual_time
async def test_only_orders_of_ours_are_cancelled() -> None:
    one = ExecutionInstance(ExecutionHarness())
    with pytest.raises(OrderNotPlannedError):
        await one.cancel("s1-not-ours")


@on_virtual_time
async def test_a_cancel_is_stored_before_it_is_sent() -> None:
    world = ExecutionHarness()
    store = SlowStore(world.store, world.clock)
    one = ExecutionInstance(world, store=store)
    await one.place(entry())
    store.append_ms = 100
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.cancel)
        await world.clock.sleep_ms(99)
        assert not world.exchange.cancelled
    assert one.order().cancel_requested_ms
    assert one.cancelling.unstored == 0


@on_virtual_time
async def test_a_store_that_is_unavailable_does_not_block_a_cancel() -> None:
    """What became of the order is recorded when the store answers again."""
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    world.store.unavailable = True
    cancelled = await one.cancel()
    assert isinstance(cancelled.reply, RequestAccepted)
    assert cancelled.order.phase is OrderPhase.ACKNOWLEDGED
    assert world.exchange.order(ENTRY).status == "CANCELED"
    assert one.cancelling.unstored == 1

    world.store.unavailable = False
    again = await one.cancel()
    assert again.order.ending is OrderEnding.CANCELED


@on_virtual_time
async def test_a_store_that_hangs_does_not_make_a_cancel_too_late() -> None:
    world = ExecutionHarness()
    store = SlowStore(world.store, world.clock)
    one = ExecutionInstance(world, store=store)
    await one.place(entry())
    store.append_ms = 60_000
    cancelled = await one.cancel()
    assert isinstance(cancelled.reply, RequestAccepted)
    assert world.exchange.order(ENTRY).status == "CANCELED"


@on_virtual_time
async def test_a_damaged_ledger_does_not_block_a_cancel() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry())
    one.ledger.engine.mark_damaged("commit 2 was changed")
    await one.cancel()
    assert world.exchange.order(ENTRY).status == "CANCELED"


@on_virtual_time
async def test_a_cancelled_caller_leaves_a_recorded_request() -> None:
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(reply_after_ms=300))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        with anyio.move_on_after(0.1) as caller:
            await one.cancel()
        assert caller.cancelled_caught
        await world.clock.sleep_ms(2_000)
        assert one.order().ending is OrderEnding.CANCELED
