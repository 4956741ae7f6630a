"""Placing orders: the intent before the request, the request once, and every outcome recorded."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.execution.place_orders import (
    PLAN_LIMIT_S,
    AccountNotClaimedError,
    VenueNotServedError,
)
from chimera_s1.domain.errors import (
    ClientIdUsedError,
    ExchangeUnavailableError,
    InvalidValueError,
    ServiceStoppingError,
    StoreUnavailableError,
)
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ledger.commit import Commit
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.order_gateway import (
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestRefused,
    RequestTurnedAway,
)
from tests.execution_harness import (
    ENTRY,
    STOP,
    ExecutionHarness,
    ExecutionInstance,
    SlowStore,
    entry,
    running,
    stop,
)
from tests.fakes.order_exchange import Handling
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
CLAIMED = "account live:1 is claimed by installation b"
UNAVAILABLE = OutcomeUnknown(cause="503 without a code")
REFUSED = RequestRefused(reason=RefusalReason.POST_ONLY, code=-5022, message="would take")
DUPLICATE = RequestRefused(reason=RefusalReason.DUPLICATE_ID, code=-4116, message="duplicated")


@on_virtual_time
async def test_the_acknowledged_order_is_returned() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)

    placed = await one.place(entry())

    assert isinstance(placed.reply, RequestAccepted)
    assert placed.order.phase is OrderPhase.ACKNOWLEDGED
    assert placed.order.exchange_id == world.exchange.order(ENTRY).exchange_id
    assert await world.event_types() == ["execution.order.planned", "execution.order.updated"]


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        (REFUSED, OrderPhase.REFUSED),
        (RequestTurnedAway(cause="429", retry_after_ms=1_000), OrderPhase.REFUSED),
        (RequestNotSent(cause="no connection"), OrderPhase.NOT_SENT),
        (UNAVAILABLE, OrderPhase.UNKNOWN),
        (DUPLICATE, OrderPhase.UNKNOWN),
        (RequestAccepted(reports=()), OrderPhase.UNKNOWN),
    ],
    ids=lambda value: getattr(value, "value", type(value).__name__),
)
@on_virtual_time
async def test_each_reply_has_its_phase(
    reply: RequestRefused | OutcomeUnknown, phase: OrderPhase
) -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=reply))
    one = ExecutionInstance(world)

    placed = await one.place(entry())

    assert placed.reply == reply
    assert placed.order.phase is phase
    assert ENTRY not in one.in_flight


@on_virtual_time
async def test_a_rejected_timestamp_has_the_clock_measured_again() -> None:
    world = ExecutionHarness()
    reply = RequestTurnedAway(cause="-1021", clock_suspect=True)
    world.exchange.handling.append(Handling(executes=False, reply=reply))
    one = ExecutionInstance(world)
    await one.place(entry())
    assert one.clock_suspected == [Venue.PERP]


@on_virtual_time
async def test_what_waited_more_than_a_second_is_not_sent() -> None:
    """To connect took too long; a stop is no exception, it is placed under the next id."""
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    world.exchange.connect_ms = 1_500
    for request in (entry(), stop()):
        placed = await one.place(request)
        assert placed.order.phase is OrderPhase.NOT_SENT
        assert "signed 1500 ms ago" in placed.order.message
    world.exchange.connect_ms = 900
    await one.place(entry("s1-next-e"))
    assert [request.client_id for request in world.exchange.sent] == ["s1-next-e"]


@on_virtual_time
async def test_a_slow_store_makes_a_request_too_old() -> None:
    world = ExecutionHarness()
    store = SlowStore(world.store, world.clock)
    one = ExecutionInstance(world, store=store)
    store.append_ms = 1_500
    placed = await one.place(entry())
    assert isinstance(placed.reply, RequestNotSent)
    store.append_ms = MINUTE_MS
    with pytest.raises(StoreUnavailableError, match="nothing was sent"):
        await one.place(entry("s1-next-e"))
    assert not world.exchange.sent


class UncancelledStore(SlowStore):
    """As SQLite's threads: a cancelled append is written all the same, and returns."""

    async def append(self, commit: Commit) -> AppendResult:
        with anyio.CancelScope(shield=True):
            return await super().append(commit)
        raise AssertionError("this scope is never cancelled")


@on_virtual_time
async def test_an_intent_that_was_stored_after_its_limit_is_recorded_as_not_sent() -> None:
    world = ExecutionHarness()
    store = UncancelledStore(world.store, world.clock)
    one = ExecutionInstance(world, store=store)
    await one.place(entry())
    store.append_ms = (PLAN_LIMIT_S + 1) * 1000

    placed = await one.place(entry("s1-next-e"))

    assert isinstance(placed.reply, RequestNotSent)
    assert placed.order.phase is OrderPhase.NOT_SENT
    assert [request.client_id for request in world.exchange.sent] == [ENTRY]


@on_virtual_time
async def test_the_age_counts_without_the_exchange_clock_too() -> None:
    world = ExecutionHarness()
    world.exchange_clock_known = False
    world.exchange.connect_ms = 1_500
    placed = await ExecutionInstance(world).place(entry())
    assert placed.order.phase is OrderPhase.NOT_SENT


@on_virtual_time
async def test_nothing_is_stored_or_sent_of_a_request_that_breaks_a_rule() -> None:
    world = ExecutionHarness()
    world.rule_error = InvalidValueError("price 100.001 is off the tick 0.1")
    with pytest.raises(InvalidValueError):
        await ExecutionInstance(world).place(entry())
    assert not world.exchange.sent
    assert not await world.event_types()


@on_virtual_time
async def test_nothing_is_sent_before_its_intent_is_stored() -> None:
    world = ExecutionHarness()
    world.store.unavailable = True
    one = ExecutionInstance(world)
    for request in (entry(), stop()):
        with pytest.raises(StoreUnavailableError):
            await one.place(request)
    assert not world.exchange.sent


@on_virtual_time
async def test_a_client_id_is_used_once() -> None:
    world = ExecutionHarness()
    one, two = ExecutionInstance(world), ExecutionInstance(world)
    await one.place(entry())
    for instance in (one, two):
        with pytest.raises(ClientIdUsedError):
            await instance.place(entry())
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_an_intent_whose_append_is_uncertain_is_not_sent() -> None:
    world = ExecutionHarness()
    world.store.replies_to_lose = 1
    one = ExecutionInstance(world)
    with pytest.raises(StoreUnavailableError):
        await one.place(entry())
    async with running(one):
        await world.clock.sleep_ms(2_000)
    assert one.order().phase is OrderPhase.NOT_SENT
    assert not world.exchange.sent


@on_virtual_time
async def test_a_request_that_cannot_be_signed_leaves_nothing() -> None:
    world = ExecutionHarness()
    world.exchange.sign_error = ExchangeUnavailableError("the clock is not measured yet")
    with pytest.raises(ExchangeUnavailableError):
        await ExecutionInstance(world).place(entry())
    assert not await world.event_types()


@on_virtual_time
async def test_two_orders_whose_replies_are_swapped_in_time() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    world.exchange.handling += [Handling(reply_after_ms=800), Handling(reply_after_ms=10)]
    ended: list[str] = []

    async def place(client_id: str) -> None:
        await one.place(entry(client_id))
        ended.append(client_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place, "s1-a")
        await world.clock.sleep_ms(5)
        tasks.start_soon(place, "s1-b")

    assert ended == ["s1-b", "s1-a"]
    for client_id in ended:
        assert one.order(client_id).exchange_id == world.exchange.order(client_id).exchange_id


@on_virtual_time
async def test_a_reply_that_names_another_order_acknowledges_nothing() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    await one.place(entry("s1-a"))
    other = world.exchange.order("s1-a").report(ReportSource.REPLY)
    world.exchange.handling.append(Handling(reply=RequestAccepted(reports=(other,))))
    placed = await one.place(entry("s1-b"))
    assert placed.order.phase is OrderPhase.UNKNOWN
    async with running(one):
        await world.clock.sleep_ms(1_000)
    assert one.order("s1-b").exchange_id == world.exchange.order("s1-b").exchange_id


@on_virtual_time
async def test_a_fill_before_its_orders_acknowledgement() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=500))
    one = ExecutionInstance(world)
    async with running(one), anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        await world.clock.sleep_ms(100)
        one.streams[Venue.PERP].send(*world.exchange.fill(ENTRY, "2", "t1"))
        await world.clock.sleep_ms(100)
        before = one.order()
        await world.clock.sleep_ms(1_000)
    assert before.phase is OrderPhase.CLOSED
    assert one.order() == before
    assert one.order().fills.count == 1


@on_virtual_time
async def test_a_reply_is_recorded_although_its_caller_is_cancelled() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=500))
    one = ExecutionInstance(world)
    with anyio.move_on_after(0.1) as caller:
        await one.place(entry())
        await checkpoint()
    assert caller.cancelled_caught
    assert one.order().phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_nothing_is_stored_if_the_caller_is_cancelled_before() -> None:
    world = ExecutionHarness()
    with anyio.CancelScope() as caller:
        caller.cancel()
        await ExecutionInstance(world).place(entry())
    assert not await world.event_types()
    assert not world.exchange.sent


@on_virtual_time
async def test_a_reply_is_recorded_once_the_store_answers_again() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=100))
    one = ExecutionInstance(world)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        await world.clock.sleep_ms(50)
        world.store.unavailable = True
        await world.clock.sleep_ms(5_000)
        assert "unavailable" in one.health.report().unrecorded
        world.store.unavailable = False
    assert one.order().phase is OrderPhase.ACKNOWLEDGED
    assert not one.recorder.last_error


@on_virtual_time
async def test_a_reply_that_cannot_be_recorded_is_given_up_and_the_order_looked_up() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=100))
    one = ExecutionInstance(world)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        await world.clock.sleep_ms(50)
        world.store.unavailable = True
    assert one.recorder.given_up == 1
    assert one.order().phase is OrderPhase.PLANNED
    world.store.unavailable = False
    async with running(one):
        await world.clock.sleep_ms(5_000)
    assert one.order().phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_an_entry_is_refused_while_the_service_stops_and_not_sent_if_it_begins_to() -> None:
    world = ExecutionHarness()
    world.exchange.connect_ms = 500
    one = ExecutionInstance(world)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        tasks.start_soon(one.place, stop())
        await world.clock.sleep_ms(100)
        world.switches.stopping = True
    with pytest.raises(ServiceStoppingError):
        await one.place(entry("s1-next-e"))
    assert one.order(ENTRY).phase is OrderPhase.NOT_SENT
    assert one.order(STOP).phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_an_entry_needs_the_claim_on_the_account_and_a_stop_does_not() -> None:
    """Two ledgers of one account would place an entry twice. A stop can open nothing."""
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    world.hold.why = CLAIMED
    with pytest.raises(AccountNotClaimedError, match="claimed by installation b"):
        await one.place(entry())
    assert not await world.event_types()

    placed = await one.place(stop(), Purpose.EXIT)
    assert placed.order.phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_an_entry_is_not_sent_when_the_claim_is_lost_while_it_connects() -> None:
    world = ExecutionHarness()
    one = ExecutionInstance(world)
    world.exchange.connect_ms = 100
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.place, entry())
        await world.clock.sleep_ms(50)
        world.hold.why = CLAIMED
    assert one.order().phase is OrderPhase.NOT_SENT
    assert CLAIMED in one.order().message
    assert not world.exchange.sent


@on_virtual_time
async def test_an_order_of_a_venue_that_is_not_served_is_refused() -> None:
    """Nothing here would follow it, or look it up."""
    world = ExecutionHarness()
    one = ExecutionInstance(world, venues=(Venue.SPOT,))
    for order in (entry(), stop()):
        with pytest.raises(VenueNotServedError, match="add it to S1_VENUES"):
            await one.place(order)
    assert not await world.event_types()
