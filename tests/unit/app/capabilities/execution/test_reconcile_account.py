"""The account against the ledger: ours is brought up to date, foreign things are reported."""

from decimal import Decimal

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import FillRecorded
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.reconciliation import DifferenceKind
from chimera_s1.domain.execution.reports import OrderReport
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level
from tests.fakes.manual_clock import settle
from tests.unit.app.capabilities.execution.reconcile_rig import Replica, Shared, fill
from tests.unit.domain.execution.test_observation import BTC, ENTRY, LIMIT, planned, said

pytestmark = pytest.mark.anyio


def foreign(client_id: str, shared: Shared, status: str = "NEW", filled: int = 0) -> OrderReport:
    return replace(
        said(status, filled, shared.clock.now_ms()), client_id=client_id, exchange_id="50"
    )


async def test_an_open_order_of_ours_is_matched() -> None:
    shared = Shared()
    one = Replica(shared)
    await one.place()
    async with one.running():
        last = await one.perp()
    assert last.matched == (ENTRY,)
    assert not last.problems
    assert not last.differences
    assert not last.repaired
    assert one.reconcile.report().level is Level.GREEN


async def test_an_order_that_filled_unheard_is_brought_up_to_date_with_its_trades() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await one.place()
        shared.exchange.say(said("FILLED", 2, shared.clock.now_ms()))
        for number in (1, 2):
            shared.exchange.trade(fill(number, shared.clock))
        await shared.clock.advance(QUERY_LAG_MS + 1)
        last = await one.perp()
    order = one.ledger.state.orders[ENTRY]
    assert order.phase is OrderPhase.CLOSED
    assert order.fills.qty == 2
    (repair,) = last.repaired
    assert (repair.before, repair.after) == ("NEW filled 0", "FILLED filled 2")
    assert last.missed_fills_count == 2
    assert last.differences == ()
    assert "execution.fills_found" in one.kinds()


async def test_an_order_that_is_not_listed_yet_is_young_and_not_looked_up() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        shared.exchange.lag_ms = QUERY_LAG_MS
        await shared.clock.advance(60_000)
        await one.place()
        last = await one.perp()
        assert last.young == (ENTRY,)
        assert "find" not in shared.exchange.calls
        await shared.clock.advance(QUERY_LAG_MS)
        assert (await one.perp()).matched == (ENTRY,)
    assert last.differences == ()


async def test_an_order_that_the_exchange_does_not_find_is_said_once() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        shared.exchange.forget(await one.place())
        await shared.clock.advance(QUERY_LAG_MS + 1)
        await one.perp()
        last = await one.perp()
        report = one.reconcile.report()
    assert [each.kind for each in last.differences] == [DifferenceKind.ORDER_VANISHED]
    assert one.kinds().count("execution.order_vanished") == 1
    assert one.ledger.state.orders[ENTRY].is_open
    assert report.level is Level.ORANGE
    assert ENTRY in report.sentence


async def test_the_life_of_a_foreign_order_is_reported_and_its_fill_recorded_once() -> None:
    shared = Shared()
    one, two = Replica(shared), Replica(shared)
    async with one.running(), two.running():
        shared.exchange.say(foreign("s4-7", shared))
        (seen,) = (await one.perp()).foreign
        assert (seen.report.client_id, seen.label) == ("s4-7", "s4")
        (row,) = one.picture.open_orders(Venue.PERP)
        assert (row.ours, row.label, row.status) == (False, "s4", "NEW")
        shared.exchange.say(foreign("s4-7", shared, "FILLED", 1))
        shared.exchange.trade(fill(9, shared.clock, order="50"))
        await shared.clock.advance(QUERY_LAG_MS + 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.reconcile.reconcile)
            tasks.start_soon(two.reconcile.reconcile)
            await settle()
            await shared.clock.advance(2_000)
        last = await one.perp()
    assert last.foreign == ()
    assert one.picture.open_orders() == ()
    entries = await one.store.read(0, 1_000)
    recorded = [record.type for entry in entries for record in entry.commit.events]
    assert recorded == ["execution.fill.recorded"]


async def test_a_trade_of_others_that_only_a_read_shows_says_its_order() -> None:
    """The history of trades has no client ids and no states: its order is read, once."""
    shared = Shared()
    one = Replica(shared)
    one.served = (BTC,)
    async with one.running():
        shared.exchange.say(foreign("web_1", shared, "FILLED", 1))
        shared.exchange.trade(fill(9, shared.clock, order="50"))
        await shared.clock.advance(QUERY_LAG_MS + 1)
        last = await one.perp()
        await one.perp()

    assert last.trades_read == (BTC,)
    assert shared.exchange.calls.count("find") == 1
    [entry] = await one.store.read(0, 1_000)
    [event] = map(decode_event, entry.commit.events)
    assert isinstance(event, FillRecorded)
    assert (event.client_id, event.entry_id) == ("", "")
    assert (event.fill.client_id, event.order_status) == ("web_1", "FILLED")
    assert event.filled_qty == 1


async def test_a_trade_whose_order_cannot_be_read_is_recorded_all_the_same() -> None:
    shared = Shared()
    one = Replica(shared)
    one.served = (BTC,)
    shared.exchange.unavailable.add("find")
    async with one.running():
        shared.exchange.trade(fill(9, shared.clock, order="50"))
        await shared.clock.advance(QUERY_LAG_MS + 1)
        last = await one.perp()

    assert last.missed_fills_count == 1
    assert any(problem.startswith("cannot read the order 50") for problem in last.problems)


async def test_a_trade_of_ours_that_is_read_before_the_reply_is_recorded_as_ours() -> None:
    """It is not acknowledged yet; its client id is in the ledger since before it was sent."""
    shared = Shared()
    one = Replica(shared)
    one.served = (BTC,)
    async with one.running():
        await one.ledger.plan(replace(planned(LIMIT), signed_at_ms=shared.clock.now_ms()), "test")
        shared.exchange.say(said("FILLED", 2, shared.clock.now_ms()))
        for number in (1, 2):
            shared.exchange.trade(fill(number, shared.clock))
        await shared.clock.advance(QUERY_LAG_MS + 1)
        await one.perp()

    owners = {known.client_id for known in one.ledger.state.fills.values()}
    assert owners == {ENTRY}
    entries = await one.store.read(0, 1_000)
    kinds = {record.type for entry in entries for record in entry.commit.events}
    assert "execution.fill.attributed" not in kinds


async def test_an_order_with_our_prefix_that_the_ledger_lacks_is_said_once() -> None:
    shared = Shared()
    one = Replica(shared)
    shared.exchange.say(foreign("s1-lost-e", shared))
    async with one.running():
        last = await one.perp()
    assert [each.kind for each in last.differences] == [DifferenceKind.ORDER_UNKNOWN]
    assert one.kinds() == ["execution.order_unknown"]
    assert one.ledger.state.orders == {}


async def test_a_venue_that_cannot_be_read_is_said_and_the_other_one_is_compared() -> None:
    shared = Shared()
    one = Replica(shared)
    await one.place()
    shared.exchange.unavailable = {"open_orders.spot", "balances.spot"}
    async with one.running():
        last = await one.round()
        assert shared.exchange.calls.count("open_orders.spot") == 2
        by_venue = {each.venue: each for each in last.venues}
        assert by_venue[Venue.PERP].matched == (ENTRY,)
        assert by_venue[Venue.PERP].problems == ()
        assert by_venue[Venue.SPOT].problems == (
            "cannot read the open orders: open_orders.spot: no reply",
            "cannot read the balances: balances.spot: no reply",
        )
        assert one.reconcile.report().level is Level.YELLOW
        shared.exchange.unavailable = set()
        await shared.clock.advance(20_000)
        assert one.reconcile.report().level is Level.GREEN


async def test_nothing_is_concluded_from_orders_that_could_not_be_read() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await one.place()
        await shared.clock.advance(QUERY_LAG_MS + 1)
        shared.exchange.refused = {"open_orders.perp"}
        last = await one.perp()
    assert not last.differences
    assert not last.young
    assert last.problems == (
        "may not read the open orders: open_orders.perp: -2015 Invalid API-key, IP, or permissions",
    )


async def test_nothing_is_concluded_from_a_position_whose_row_cannot_be_read() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        shared.exchange.trade(fill(1, shared.clock, order="50"))
        shared.exchange.say(foreign("web_1", shared))
        await shared.clock.advance(60_000)
        shared.exchange.unreadable = {"positions", "open_orders.perp"}
        shared.exchange.move_position(BTC, Decimal(-1))
        for _ in range(4):
            await shared.clock.advance(QUERY_LAG_MS)
            last = await one.perp()
        assert last.problems == (
            "1 row of the open orders could not be read: see the log",
            "1 row of the positions could not be read: see the log",
        )
    assert not last.undecided
    assert "execution.position_unexplained" not in one.kinds()
    assert [row.client_id for row in one.picture.open_orders()] == ["web_1"]
    assert [row.known_qty for row in one.picture.positions()] == [1]


async def test_a_store_that_fails_is_a_problem_of_the_round() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        one.store.unavailable = True
        last = await one.perp()
        assert last.problems == ("the execution ledger cannot be used: store unavailable",)
        one.store.unavailable = False
        assert (await one.perp()).problems == ()


async def test_a_position_that_was_there_first_is_adopted_without_an_alarm() -> None:
    shared = Shared()
    shared.exchange.move_position(BTC, Decimal(5))
    one, two = Replica(shared), Replica(shared)
    async with one.running(), two.running():
        last = await one.perp()
    assert last.differences == ()
    assert one.kinds() == two.kinds() == []
    for replica in (one, two):
        await replica.ledger.refresh()
        (row,) = replica.picture.positions()
        assert row.qty == row.known_qty == 5


async def test_a_position_that_no_trade_explains_is_said_and_adopted_after_a_second_look() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await shared.clock.advance(60_000)
        shared.exchange.move_position(BTC, Decimal(3))
        first = await one.perp()
        assert first.undecided
        assert first.differences == ()
        await shared.clock.advance(QUERY_LAG_MS)
        report = one.reconcile.report()
        assert report.level is Level.ORANGE
        assert "BTCUSDT is 3; the known fills give 0" in report.sentence
        assert one.kinds() == ["execution.position_unexplained"]
        last = await one.perp()
        assert last.differences == ()
        assert not last.undecided
    (row,) = one.picture.positions()
    assert row.qty == row.known_qty == 3


async def test_a_position_of_an_unseen_trade_is_explained_and_the_trade_recorded() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await shared.clock.advance(60_000)
        shared.exchange.trade(fill(1, shared.clock, qty=-2, order="50"))
        await shared.clock.advance(60_000)
        assert one.reconcile.last is not None
        assert not one.reconcile.last.thorough
    assert one.reconcile.missed_fills == 1
    assert one.reconcile.last.differences == ()
    assert [known.client_id for known in one.ledger.state.fills.values()] == [""]


async def test_trades_of_a_down_time_are_read_from_the_cursor_on() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await one.perp()
    await shared.clock.advance(3_600_000)
    shared.exchange.trade(fill(1, shared.clock, qty=1, order="50"))
    shared.exchange.trade(fill(2, shared.clock, qty=-1, order="51"))
    await shared.clock.advance(60_000)
    two = Replica(shared)
    two.served = (BTC,)
    async with two.running():
        await two.perp()
    assert len(two.ledger.state.fills) == 2


async def test_the_cursor_stays_where_a_symbol_could_not_be_read() -> None:
    shared = Shared()
    one = Replica(shared)
    one.served = (BTC,)
    async with one.running():
        before = shared.cursors.seqs["execution.fills.perp"]
        await shared.clock.advance(60_000)
        shared.exchange.unavailable = {"fills.perp"}
        await one.perp()
        assert shared.cursors.seqs["execution.fills.perp"] == before
        assert shared.cursors.seqs["execution.fills.spot"] > before
        shared.exchange.unavailable = set()
        await shared.clock.advance(20_000)
        assert shared.cursors.seqs["execution.fills.perp"] > before


async def test_callers_share_a_round_that_begins_after_they_asked() -> None:
    shared = Shared()
    one = Replica(shared)
    numbers: list[int] = []

    async def ask() -> None:
        numbers.append((await one.reconcile.reconcile()).number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.reconcile.run)
        for _ in range(3):
            tasks.start_soon(ask)  # the first round has not begun
        await settle()
        for _ in range(3):
            tasks.start_soon(ask)
        await settle()
        assert one.reconcile.rounds == 1
        await shared.clock.advance(2_000)
        tasks.cancel_scope.cancel()
    assert set(numbers) <= {1, 2}
    assert len(numbers) == 6
    assert one.reconcile.rounds == 2


async def test_a_round_runs_each_minute_and_after_a_request() -> None:
    shared = Shared()
    one = Replica(shared)
    async with one.running():
        await shared.clock.advance(120_000)
        assert one.reconcile.rounds == 3
        one.reconcile.request("private stream of perp: connection lost")
        await settle()
        await shared.clock.advance(2_000)
        assert one.reconcile.last is not None
        assert one.reconcile.last.reasons == ("private stream of perp: connection lost",)
        assert one.reconcile.last.thorough


async def test_a_balance_that_no_event_has_said_is_corrected() -> None:
    shared = Shared()
    one = Replica(shared)
    shared.exchange.set_balance("FUT", "USDT", Decimal(10))
    async with one.running():
        shared.exchange.set_balance("FUT", "USDT", Decimal(12))
        (corrected,) = (await one.perp()).corrected_balances
    assert corrected.asset == "USDT"
    assert corrected.before == 10
    assert corrected.after == 12
    (row,) = one.picture.balances()
    assert row.free == 12
