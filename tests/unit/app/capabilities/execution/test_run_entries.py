"""Entries over the real order use cases and an exchange in memory."""

from decimal import Decimal

import pytest
from msgspec import structs

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryKeyReusedError
from chimera_s1.app.capabilities.execution.entries.read_entries import EntryNotFoundError
from chimera_s1.domain.execution.entries.admission import EntryRefusedError
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.execution.entries.order_ids import OrderRole
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import Market, PerpOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.trading_gate import KillSwitchOnError, ModeManageOnlyError
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.order_gateway import OutcomeUnknown, RequestRefused
from tests.entry_harness import ENTRY_ID, FUTURES, EntryInstance, client_id, running_entries
from tests.execution_harness import ExecutionHarness, KillingStore, ProcessKilledError
from tests.fakes.order_exchange import Handling
from tests.virtual_time import on_virtual_time

LOST = OutcomeUnknown(cause="the connection broke")
WOULD_TRIGGER = RequestRefused(
    reason=RefusalReason.WOULD_TRIGGER, code=-2021, message="Order would immediately trigger."
)


@on_virtual_time
async def test_what_is_filled_gets_a_stop() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        accepted = await one.accept()
        assert accepted.picture is not None
        assert accepted.picture.status is EntryStatus.WORKING
        await one.fill("0.5", "t1")
        assert one.stops()[-1].body.qty == Decimal("0.5")
        await one.fill("1.5", "t2")

        assert [stop.body.qty for stop in one.stops()] == [Decimal("0.5"), Decimal(2)]
        assert world.exchange.order(client_id(OrderRole.STOP, 1)).status == "CANCELED"
        assert world.exchange.order(client_id(OrderRole.STOP, 2)).status == "NEW"
        assert one.status is EntryStatus.PROTECTED
        assert (await one.read.get(ENTRY_ID, Venue.PERP)).waiting_for == "the stop"
        assert one.alarms == []


@on_virtual_time
async def test_a_timeline_has_a_sentence_for_each_event_of_the_entry_its_orders_and_trades() -> (
    None
):
    async with running_entries(EntryInstance(ExecutionHarness())) as one:
        await one.accept()
        await one.fill("2", "t1")
        rows = await one.read.timeline(ENTRY_ID)

        assert rows is not None
        times, texts = [row.at_ms for row in rows], [row.text for row in rows]
        assert times == sorted(times)
        assert texts[0].startswith("accepted: BUY 2 BTCUSDT at 100, stop 90")
        assert texts[1].startswith("entry order: signed, about to be sent once: LIMIT 2 at 100")
        assert any(text.startswith("entry order: trade t1: 2 at 100") for text in texts)
        assert any(text.startswith("stop 1: acknowledged") for text in texts)
        assert any(text.startswith("PROTECTED: filled 2 at 100") for text in texts)


@on_virtual_time
async def test_the_same_key_places_nothing_again() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        again = await one.accept()
        assert again.entry.entry_id == ENTRY_ID
        with pytest.raises(EntryKeyReusedError):
            await one.accept(structs.replace(FUTURES, qty=Decimal(1)))
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_two_instances_accept_the_same_key_once() -> None:
    world = ExecutionHarness()
    one, two = EntryInstance(world), EntryInstance(world)
    two.drives = False
    async with running_entries(one), running_entries(two):
        await one.accept()
        shown = await two.accept()
        assert shown.entry == one.entry
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_the_rest_is_cancelled_after_the_timeout() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("0.5", "t1")
        await one.settle(FUTURES.timeout_ms)

        assert world.exchange.order(client_id(OrderRole.ENTRY)).status == "CANCELED"
        assert one.status is EntryStatus.PROTECTED
        assert one.stops()[-1].body.qty == Decimal("0.5")


@on_virtual_time
async def test_an_entry_that_fills_nothing_ends_as_timeout() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.settle(FUTURES.timeout_ms + 2_000)

        assert one.status is EntryStatus.TIMEOUT
        assert one.stops() == []


@on_virtual_time
async def test_a_lost_reply_places_no_second_entry_order() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply=LOST))
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("2", "t1")

        assert one.status is EntryStatus.PROTECTED
    assert [type(sent).__name__ for sent in world.exchange.sent] == ["PerpOrder", "PerpAlgoOrder"]


@on_virtual_time
async def test_a_stop_with_a_lost_reply_is_looked_up_before_another_is_placed() -> None:
    world = ExecutionHarness()
    world.exchange.handling.extend([Handling(), Handling(reply=LOST)])
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("2", "t1")

        assert one.status is EntryStatus.PROTECTED
        assert len(one.stops()) == 1
        assert any(ref.client_id == client_id(OrderRole.STOP) for ref in world.exchange.found)


@on_virtual_time
async def test_a_stop_that_a_lookup_does_not_find_is_placed_under_the_next_id() -> None:
    world = ExecutionHarness()
    world.exchange.handling.extend([Handling(), Handling(executes=False, reply=LOST)])
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("2", "t1")

        assert one.status is EntryStatus.PROTECTED
        assert [stop.client_id for stop in one.stops()] == [
            client_id(OrderRole.STOP, 1),
            client_id(OrderRole.STOP, 2),
        ]


@on_virtual_time
async def test_a_stop_that_would_trigger_at_once_closes_at_once() -> None:
    world = ExecutionHarness()
    world.exchange.handling.extend([Handling(), Handling(executes=False, reply=WOULD_TRIGGER)])
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("2", "t1")
        [close] = [
            sent
            for sent in world.exchange.sent
            if isinstance(sent, PerpOrder) and isinstance(sent.body, Market)
        ]
        assert close.body == Market(qty=Decimal(2))
        await one.fill("2", "t2", OrderRole.CLOSE)

        assert one.status is EntryStatus.CLOSED


@on_virtual_time
async def test_a_cancel_keeps_protection_unless_it_is_disarmed() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("0.5", "t1")
        await one.cancel()
        await one.settle()
        assert world.exchange.order(client_id(OrderRole.ENTRY)).status == "CANCELED"
        assert world.exchange.order(client_id(OrderRole.STOP)).status == "NEW"
        kept = one.status
        await one.cancel(disarm=True)
        await one.settle()
        assert world.exchange.order(client_id(OrderRole.STOP)).status == "CANCELED"
        assert [kept, one.status] == [EntryStatus.PROTECTED, EntryStatus.CANCELED]


@on_virtual_time
async def test_a_mode_refuses_entries_and_never_a_stop() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        world.switches.mode = TradingMode.MANAGE_ONLY
        with pytest.raises(ModeManageOnlyError):
            await one.accept(key="s4-2")
        world.switches.kill = True
        with pytest.raises(KillSwitchOnError):
            await one.accept(key="s4-2")
        await one.fill("2", "t1")

        assert one.status is EntryStatus.PROTECTED


@on_virtual_time
async def test_nothing_is_stored_or_sent_of_an_entry_that_is_refused() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        one.limits = structs.replace(one.limits, daily_cap=Decimal(399))
        with pytest.raises(EntryRefusedError, match="199 of 399 are left today"):
            await one.accept(key="s4-2")
        with pytest.raises(EntryNotFoundError):
            await one.read.get("s4-2", Venue.PERP)
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_an_entry_of_the_other_venue_is_not_found() -> None:
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        with pytest.raises(EntryNotFoundError):
            await one.read.get(ENTRY_ID, Venue.SPOT)


@on_virtual_time
async def test_another_instance_takes_an_entry_over() -> None:
    world = ExecutionHarness()
    one, two = EntryInstance(world), EntryInstance(world)
    two.drives = False
    async with running_entries(two):
        async with running_entries(one):
            await one.accept()
        two.drives = True
        await two.settle()
        await two.fill("2", "t1")

        assert two.status is EntryStatus.PROTECTED
    assert len(two.stops()) == 1


@on_virtual_time
async def test_a_standby_never_acts() -> None:
    world = ExecutionHarness()
    one = EntryInstance(world)
    one.drives = False
    async with running_entries(one):
        await one.accept()
        await one.fill("2", "t1")

    assert one.stops() == []


@on_virtual_time
async def test_an_alarm_follows_when_no_stop_can_be_stored() -> None:
    """And the stop, as soon as it can."""
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        for _ in range(20):
            world.exchange.handling.append(Handling(executes=False, reply=LOST))
        await one.fill("2", "t1")
        await one.settle(11_000)

        assert len(one.alarms) == 1
        assert one.status is EntryStatus.UNPROTECTED


@on_virtual_time
async def test_an_instance_drives_the_venues_that_it_serves() -> None:
    world = ExecutionHarness()
    one = EntryInstance(world)
    one.venues = (Venue.SPOT,)
    async with running_entries(one):
        await one.accept()
        await one.fill("2", "t1")
        unprotected = list(one.stops())
        one.venues = (Venue.PERP,)
        await one.settle()

    assert unprotected == []
    assert len(one.stops()) == 1


@on_virtual_time
async def test_evidence_for_an_ended_entry_outlives_a_take_over() -> None:
    """The order was called absent, and fills while no instance drives."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply=LOST, visible_after_ms=3_600_000))
    one, two = EntryInstance(world), EntryInstance(world)
    two.drives = False
    async with running_entries(two):
        async with running_entries(one):
            await one.accept()
            await one.settle(30_000)
            ended = one.status
        await two.fill("2", "t1")
        two.drives = True
        await two.settle(3_000)

        assert [ended, two.status] == [EntryStatus.REJECTED, EntryStatus.PROTECTED]


@on_virtual_time
async def test_a_position_that_others_close_takes_the_stop_along() -> None:
    """Also of a symbol that was flat when the ledger began."""
    world = ExecutionHarness()
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("2", "t1")
        _, trade = world.exchange.fill(client_id(OrderRole.ENTRY), "0", "t2")
        by_hand = structs.replace(
            trade, order_id="77", client_id="web_1", side="SELL", qty=Decimal(2)
        )
        one.orders.streams[Venue.PERP].send(by_hand)
        await one.settle(20_000)

        assert one.status is EntryStatus.CLOSED
        assert world.exchange.order(client_id(OrderRole.STOP)).status == "CANCELED"
        assert one.entry.reduced_qty == 2


@on_virtual_time
async def test_an_instance_that_lost_its_lease_sleeps_while_its_last_step_ends() -> None:
    """The loop of virtual time refuses to turn without time passing."""
    world = ExecutionHarness()
    world.exchange.cancel_handling.append(Handling(reply_after_ms=5_000))
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.cancel()
        await one.settle(100)
        under_way = len(world.exchange.cancelled)
        one.drives = False
        await one.settle(20_000)

    assert under_way == 1


CRASHES_MAX = 40
CRASHES_MIN = 5


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@on_virtual_time
async def test_a_process_killed_at_any_append_ends_the_same_way(after: bool) -> None:
    """The next instance goes on from the ledger and the exchange's truth."""
    for seq in range(1, CRASHES_MAX):
        world = ExecutionHarness()
        store = KillingStore(world.store)
        store.kill_after, store.kill_before = (seq, 0) if after else (0, seq)
        await _run_until_killed(EntryInstance(world, store=store))
        if not store.killed:
            break
        async with running_entries(EntryInstance(world)) as two:
            await _enter(two)
            await two.settle(20_000)
            _check_ending(two, f"killed at commit {seq}")
    assert seq > CRASHES_MIN


async def _enter(one: EntryInstance) -> None:
    await one.accept()
    books = one.world.exchange.books
    if books and books[0].status == "NEW":
        await one.fill("2", "t1")


def _check_ending(two: EntryInstance, case: str) -> None:
    exchange = two.world.exchange
    sent = [order.client_id for order in exchange.sent]
    assert len(sent) == len(set(sent)), case
    if not exchange.books:
        # The intent was stored, and the process died before it was sent.
        assert two.status is EntryStatus.REJECTED, case
        return
    assert two.status is EntryStatus.PROTECTED, case
    assert sum(order.qty for order in exchange.books if order.status == "NEW") == FUTURES.qty, case


async def _run_until_killed(one: EntryInstance) -> None:
    try:
        async with running_entries(one):
            await _enter(one)
    except BaseExceptionGroup as errors:
        _, others = errors.split(ProcessKilledError)
        if others is not None:
            raise
