"""What the private streams say is recorded once, and a deaf stream is found out by queries."""

import pytest

from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.execution.reports import PositionReport, ReportSource
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.account_stream import AccountChanged, StreamResumed
from tests.execution_harness import (
    BTC,
    ENTRY,
    ExecutionHarness,
    ExecutionInstance,
    entry,
    running,
)
from tests.unit.domain.execution.test_observation import trade
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
START = ["private stream of spot: start", "private stream of perp: start"]


@on_virtual_time
async def test_each_fill_is_recorded_once_by_two_instances() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one, running(ExecutionInstance(world)) as two:
        await one.place(entry())
        events = world.exchange.fill(ENTRY, "2", "t1")
        for instance in (one, two, one):
            instance.streams[Venue.PERP].send(*events)
        await world.clock.sleep_ms(2_000)
        assert one.order() == two.order()
        assert one.order().phase is OrderPhase.CLOSED
    assert (await world.event_types()).count("execution.fill.recorded") == 1


@on_virtual_time
async def test_a_resumed_stream_makes_a_reconciliation_due() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        assert one.reconciliations == START
        one.streams[Venue.PERP].disconnect("no pong within 10 s")
        one.streams[Venue.PERP].connect()
        assert one.reconciliations[2:] == ["private stream of perp: no pong within 10 s"]
        assert isinstance(one.notified[-1], StreamResumed)


@on_virtual_time
async def test_every_event_is_passed_on_at_once() -> None:
    world = ExecutionHarness()
    position = PositionReport(
        symbol=BTC, position_side="BOTH", qty=trade("1").qty, entry_price=trade("1").price, at_ms=1
    )
    async with running(ExecutionInstance(world)) as one:
        world.store.unavailable = True
        events = (trade("1"), position, AccountChanged(what="leverage"))
        one.streams[Venue.PERP].send(*events)
        assert tuple(one.notified[-3:]) == events
        assert one.following.waiting == 1


@on_virtual_time
async def test_reports_wait_while_the_store_is_away_and_none_is_lost() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        world.store.unavailable = True
        for number in range(600):
            one.streams[Venue.PERP].send(trade(str(number)))
        await world.clock.sleep_ms(MINUTE_MS)
        assert one.following.waiting == 600
        health = one.stream_health.report()
        assert health.level is Level.ORANGE
        assert "store unavailable" in health.sentence
        world.store.unavailable = False
        await world.clock.sleep_ms(10_000)
        assert (one.following.waiting, one.following.recorded) == (0, 600)
        assert one.stream_health.report().level is Level.GREEN
        assert one.reconciliations == START
    assert (await world.event_types()).count("execution.fill.recorded") == 600


@on_virtual_time
async def test_what_overflows_is_dropped_counted_and_reconciled() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world, waiting_max=10)) as one:
        world.store.unavailable = True
        for number in range(13):
            one.streams[Venue.PERP].send(trade(str(number)))
        await world.clock.sleep_ms(1_000)
        assert (one.following.waiting, one.following.dropped) == (10, 3)
        assert one.stream_health.report().grace_ms == 0
        assert "more are dropped" in one.stream_health.report().sentence
        assert one.reconciliations == START  # it would not be recorded either
        world.store.unavailable = False
        await world.clock.sleep_ms(10_000)
        assert len(one.reconciliations) == len(START) + 1
        assert one.stream_health.report().level is Level.GREEN
    assert (await world.event_types()).count("execution.fill.recorded") == 10


@on_virtual_time
async def test_what_waits_at_the_shutdown_is_flushed() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        world.store.unavailable = True
        one.streams[Venue.PERP].send(trade("1"), trade("2"))
        await world.clock.sleep_ms(1_000)
    world.store.unavailable = False
    await one.following.flush()
    assert (await world.event_types()).count("execution.fill.recorded") == 2


@on_virtual_time
async def test_a_working_order_is_queried_each_second_until_the_stream_is_proven() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(10_000)
        unproven = one.queries.queries
        assert 7 <= unproven <= 10
        one.streams[Venue.PERP].send(world.exchange.order(ENTRY).report(ReportSource.STREAM))
        await world.clock.sleep_ms(20_000)
        assert 3 <= one.queries.queries - unproven <= 5


@on_virtual_time
async def test_a_quiet_stream_is_not_deaf() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        one.streams[Venue.PERP].send(world.exchange.order(ENTRY).report(ReportSource.STREAM))
        await world.clock.sleep_ms(30 * MINUTE_MS)
        assert not one.streams[Venue.PERP].renewals


@pytest.mark.parametrize("filled", [False, True])
@on_virtual_time
async def test_a_deaf_stream_is_renewed(*, filled: bool) -> None:
    """It has missed the acknowledgement, or the fill, of an order of ours."""
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        stream = one.streams[Venue.PERP]
        if filled:
            stream.send(world.exchange.order(ENTRY).report(ReportSource.STREAM))
            await world.clock.sleep_ms(5_000)
            assert not stream.renewals
            world.exchange.fill(ENTRY, "1", "t1")
        await world.clock.sleep_ms(14_000)
        assert len(stream.renewals) == 1
        assert one.queries.renewals == {Venue.SPOT: 0, Venue.PERP: 1}
        assert not one.streams[Venue.SPOT].renewals
        assert len(one.reconciliations) == len(START) + 1
        # What was said before the new connection, the stream need not say again.
        await world.clock.sleep_ms(MINUTE_MS)
        assert len(stream.renewals) == 1


@on_virtual_time
async def test_a_stream_is_deaf_if_it_missed_an_order_that_ended_at_once() -> None:
    """A query ends the order, so no later one asks for it; the stream has its time all the same."""
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        world.exchange.fill(ENTRY, "2", "t1")
        await world.clock.sleep_ms(1_900)
        assert one.order().phase is OrderPhase.CLOSED
        assert not one.streams[Venue.PERP].renewals
        await world.clock.sleep_ms(500)
        assert len(one.streams[Venue.PERP].renewals) == 1


@on_virtual_time
async def test_a_query_brings_an_order_up_to_date() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        world.exchange.fill(ENTRY, "2", "t1")
        await world.clock.sleep_ms(2_000)
        assert one.order().phase is OrderPhase.CLOSED
        assert one.order().lacks_fills  # for the reconciliation, which reads trades


@on_virtual_time
async def test_queries_that_fail_are_repeated_and_reported() -> None:
    world = ExecutionHarness()
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        world.exchange.find_error = ExchangeUnavailableError("418, a ban of 2 minutes")
        await world.clock.sleep_ms(5_000)
        health = one.health.report()
        assert health.level is Level.YELLOW
        assert "418" in health.sentence
        world.exchange.find_error = None
        await world.clock.sleep_ms(5_000)
        assert one.health.report().level is Level.GREEN


@on_virtual_time
async def test_many_working_orders_share_the_queries() -> None:
    """300 orders: 12 queries a second, each order in its turn."""
    world = ExecutionHarness()
    names = [f"s1-many-{number}" for number in range(300)]
    async with running(ExecutionInstance(world)) as one:
        for name in names:
            await one.place(entry(name))
        await world.clock.sleep_ms(10_000)
        assert one.queries.queries <= 140
        assert one.queries.late > 100
        assert "late" in one.health.report().sentence
        await world.clock.sleep_ms(20_000)
        assert {ref.client_id for ref in world.exchange.found} == set(names)
