"""What reaches `risk:sl_arm` and `spot:oco:armed`."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.ledger_history import LedgerHistory, Moment
from chimera_s1.app.capabilities.ledger.engine import Decision
from chimera_s1.domain.execution.entries.events import (
    EntryAccepted,
    EntryChanged,
    EntryGuarded,
    EntryStatus,
)
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.specs import BaseQty, EntrySpec, SpotEntrySpec
from chimera_s1.domain.execution.events import (
    ChildOrderUpdated,
    ExecutionEvent,
    OrderAbsent,
    OrderConclusion,
    OrderEnding,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderUnknown,
    OrderUpdated,
    RefusalReason,
)
from chimera_s1.domain.execution.order_request import (
    Market,
    OcoStop,
    OcoTakeProfit,
    Side,
    SpotOco,
    SpotOrder,
)
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ports.order_events import OcoChanged, OcoState, StopChanged, StopState
from tests.entry_harness import ENTRY_ID as DRIVEN_ID
from tests.entry_harness import EntryInstance, running_entries
from tests.execution_harness import ExecutionHarness
from tests.unit.app.capabilities.execution.test_relay_executions import Rig, relayed
from tests.unit.domain.execution.entries.test_entry_book import SPEC as FUTURES
from tests.unit.domain.execution.test_observation import ALGO, BTC, LIMIT, planned
from tests.virtual_time import on_virtual_time

ENTRY_ID: Final = "entry"
SPOT: Final = SpotEntrySpec(
    symbol=BTC,
    side=Side.BUY,
    amount=BaseQty(qty=Decimal(2)),
    tp_price=Decimal(110),
    sl_trigger_price=Decimal(90),
)
LAST_MS: Final = 30


def stop_id(number: int = 1) -> str:
    return order_id(ENTRY_ID, OrderRole.STOP, number)


def planned_stop(number: int = 1) -> OrderPlanned:
    return planned(replace(ALGO, client_id=stop_id(number)))


def updated(client_id: str, status: str, at_ms: int = 10) -> OrderUpdated:
    return OrderUpdated(
        client_id=client_id,
        exchange_id="900",
        status=status,
        filled_qty=Decimal(0),
        avg_price=None,
        at_ms=at_ms,
        source="stream",
    )


def acknowledged(client_id: str, status: str = "NEW", exchange_id: str = "900") -> OrderUpdated:
    return replace(updated(client_id, status), acknowledges=True, exchange_id=exchange_id)


def ended(client_id: str, status: str, ends: OrderEnding) -> OrderUpdated:
    return replace(updated(client_id, status, LAST_MS), ends=ends)


def child(status: str = "NEW", ends: OrderEnding | None = None) -> ChildOrderUpdated:
    return ChildOrderUpdated(
        client_id=stop_id(),
        child_id="901",
        child_client_id=stop_id(),
        status=status,
        filled_qty=Decimal(0),
        avg_price=None,
        at_ms=LAST_MS,
        source="stream",
        ends=ends,
    )


async def store(ledger: ExecutionLedger, *commits: Sequence[ExecutionEvent]) -> None:
    for events in commits:

        async def decide(events: Sequence[ExecutionEvent] = events) -> Decision[None]:
            return ledger.decision(None, tuple(events), "")

        await ledger.engine.execute(decide, "test")


async def stop_changes(*commits: Sequence[ExecutionEvent]) -> list[StopChanged]:
    rig = Rig()
    ledger = rig.ledger()
    await store(ledger, *commits)
    await relayed(rig, ledger)
    return rig.events.stops


def states(changes: Sequence[StopChanged]) -> list[tuple[str, StopState]]:
    return [(each.client_algo_id, each.state) for each in changes]


CANCELED = ended(stop_id(), "CANCELED", OrderEnding.CANCELED)
ARMED = (planned_stop(), acknowledged(stop_id()))


@on_virtual_time
async def test_an_acknowledged_stop_is_armed() -> None:
    (change,) = await stop_changes([planned_stop()], [acknowledged(stop_id())])

    assert change == StopChanged(
        at_ms=10,
        source="s1",
        entry_id=ENTRY_ID,
        symbol="BTCUSDT",
        venue="perp",
        state=StopState.ARMED,
        client_algo_id=stop_id(),
        trigger_price=ALGO.body.trigger,
        qty=ALGO.body.qty,
        event_id=change.event_id,
    )


@on_virtual_time
@pytest.mark.parametrize(
    ("newer", "state"),
    [
        ((), StopState.CANCELED),
        ((planned_stop(2),), StopState.CANCELED),
        ((planned_stop(2), acknowledged(stop_id(2))), StopState.REPLACED),
        (
            (
                planned_stop(2),
                OrderNotSent(client_id=stop_id(2), cause="late"),
                planned_stop(3),
                acknowledged(stop_id(3)),
            ),
            StopState.REPLACED,
        ),
        (
            (
                planned_stop(2),
                acknowledged(stop_id(2)),
                ended(stop_id(2), "CANCELED", OrderEnding.CANCELED),
            ),
            StopState.CANCELED,
        ),
    ],
    ids=["no newer", "newer planned", "newer stands", "second newer stands", "newer has ended"],
)
async def test_a_cancelled_stop_is_replaced_while_a_newer_one_stands(
    newer: Sequence[ExecutionEvent], state: StopState
) -> None:
    changes = await stop_changes(ARMED, newer, [CANCELED])

    assert states(changes)[-1] == (stop_id(), state)
    assert changes[-1].at_ms == LAST_MS


@on_virtual_time
@pytest.mark.parametrize(
    "first",
    [child(), updated(stop_id(), "TRIGGERED"), updated(stop_id(), "FINISHED")],
    ids=["child", "triggered", "finished"],
)
async def test_a_triggered_stop_is_said_to_be_triggered_once(first: ExecutionEvent) -> None:
    filled = child("FILLED", OrderEnding.FILLED)

    changes = await stop_changes(ARMED, [first], [filled], [updated(stop_id(), "FINISHED")])

    assert [each.state for each in changes] == [StopState.ARMED, StopState.TRIGGERED]


@on_virtual_time
async def test_a_child_that_is_reported_before_its_stop_triggers_and_does_not_arm() -> None:
    changes = await stop_changes([planned_stop()], [child()], [acknowledged(stop_id())])

    assert [each.state for each in changes] == [StopState.TRIGGERED]


@on_virtual_time
async def test_a_triggered_stop_that_expires_unfilled_has_failed() -> None:
    changes = await stop_changes(ARMED, [child("EXPIRED", OrderEnding.EXPIRED)])

    assert [each.state for each in changes] == [
        StopState.ARMED,
        StopState.TRIGGERED,
        StopState.FAILED,
    ]
    assert len({each.event_id for each in changes}) == 3


@on_virtual_time
@pytest.mark.parametrize(
    "conclusion",
    [
        OrderRefused(
            client_id=stop_id(), reason=RefusalReason.WOULD_TRIGGER, code=-2021, message="Now."
        ),
        OrderNotSent(client_id=stop_id(), cause="waited 1.2 s"),
        OrderAbsent(client_id=stop_id(), lookups=3, last_lookup_ms=9),
    ],
    ids=["refused", "not sent", "absent"],
)
async def test_a_stop_that_is_not_placed_has_failed(conclusion: OrderConclusion) -> None:
    unknown = OrderUnknown(client_id=stop_id(), cause="reset")

    (change,) = await stop_changes([planned_stop()], [unknown], [conclusion])

    assert (change.client_algo_id, change.state) == (stop_id(), StopState.FAILED)


@on_virtual_time
async def test_an_absent_stop_that_appears_is_armed() -> None:
    absent = OrderAbsent(client_id=stop_id(), lookups=3, last_lookup_ms=9)

    changes = await stop_changes([planned_stop()], [absent], [acknowledged(stop_id())])

    assert [each.state for each in changes] == [StopState.FAILED, StopState.ARMED]


@on_virtual_time
async def test_a_repeated_event_says_the_same_although_more_is_known() -> None:
    """When it is repeated, the newer stop stands and the old one has a child."""
    rig = Rig()
    ledger = rig.ledger()
    await store(ledger, ARMED, [planned_stop(2)], [CANCELED])
    await relayed(rig, ledger)
    first = list(rig.events.stops)
    await store(ledger, [acknowledged(stop_id(2)), child()])

    await relayed(rig, rig.ledger())

    assert rig.events.stops[: len(first)] == first
    assert rig.events.stops[len(first) : 2 * len(first)] == first
    assert first[-1].state is StopState.CANCELED


class CountingStore(MemoryEventStore):
    """Attributes:
    streams_read: So many streams were read.
    """

    streams_read = 0

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        self.streams_read += 1
        return await super().read_stream(stream)


@on_virtual_time
async def test_newer_stops_that_were_refused_are_not_read() -> None:
    """There may be thousands, and all other entries of the streams wait."""
    rig = Rig()
    rig.store = counting = CountingStore("execution")
    ledger = rig.ledger()
    for number in range(2, 52):
        not_sent = OrderNotSent(client_id=stop_id(number), cause="late")
        await store(ledger, [planned_stop(number), not_sent])
    await relayed(rig, ledger)
    before = counting.streams_read
    history = LedgerHistory(ledger)

    newer = await history.acknowledged_before(
        ENTRY_ID, OrderRole.STOP, Moment(ledger.head.seq, 9), first=2
    )

    assert newer == []
    assert counting.streams_read - before == 1


@on_virtual_time
async def test_the_stops_of_a_driven_entry_are_replaced_and_canceled() -> None:
    world, rig = ExecutionHarness(), Rig()
    rig.store = world.store
    async with running_entries(EntryInstance(world)) as one:
        await one.accept()
        await one.fill("0.5", "t1")
        await one.fill("1.5", "t2")
        await one.cancel(disarm=True)
        await one.settle()
        assert one.status is EntryStatus.CANCELED
        await relayed(rig, one.orders.ledger)

    first, second = (order_id(DRIVEN_ID, OrderRole.STOP, number) for number in (1, 2))
    assert states(rig.events.stops) == [
        (first, StopState.ARMED),
        (second, StopState.ARMED),
        (first, StopState.REPLACED),
        (second, StopState.CANCELED),
    ]
    assert [each.qty for each in rig.events.stops[:2]] == [Decimal("0.5"), Decimal(2)]


@on_virtual_time
async def test_an_order_without_a_step_is_no_protection() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await store(ledger, [planned(ALGO), acknowledged(ALGO.client_id)])

    (ack,) = await relayed(rig, ledger)

    assert ack.client_order_id == ALGO.client_id
    assert rig.events.stops == []


def list_id(number: int = 1) -> str:
    return order_id(ENTRY_ID, OrderRole.OCO, number)


def planned_list(number: int = 1) -> OrderPlanned:
    return planned(
        SpotOco(
            client_id=list_id(number),
            symbol=BTC,
            side=Side.SELL,
            qty=Decimal("1.5"),
            take_profit=OcoTakeProfit(
                client_id=order_id(ENTRY_ID, OrderRole.TAKE_PROFIT, number), price=SPOT.tp_price
            ),
            stop=OcoStop(
                client_id=order_id(ENTRY_ID, OrderRole.STOP_LEG, number),
                trigger=SPOT.sl_trigger_price,
            ),
        )
    )


def opened(spec: EntrySpec = SPOT) -> tuple[ExecutionEvent, ...]:
    client_id = order_id(ENTRY_ID, OrderRole.ENTRY)
    market = SpotOrder(client_id=client_id, symbol=BTC, side=Side.BUY, body=Market(qty=Decimal(2)))
    request = market if isinstance(spec, SpotEntrySpec) else replace(LIMIT, client_id=client_id)
    accepted = EntryAccepted(
        entry_id=ENTRY_ID,
        at_ms=1,
        spec=spec,
        body_hash="h",
        notional_usdt=Decimal(200),
        actor="s4",
    )
    filled = replace(acknowledged(client_id), status="FILLED", filled_qty=Decimal(2))
    return accepted, planned(request), replace(filled, ends=OrderEnding.FILLED)


def changed(status: EntryStatus, number: int, closed: str = "0") -> EntryChanged:
    return EntryChanged(
        entry_id=ENTRY_ID,
        at_ms=LAST_MS,
        number=number,
        status=status,
        filled_qty=Decimal(2),
        avg_price=Decimal(100),
        protected_qty=Decimal(0),
        closed_qty=Decimal(closed),
        dust=Decimal("0.1"),
        message="",
    )


async def oco_changes(*commits: Sequence[ExecutionEvent]) -> list[OcoChanged]:
    rig = Rig()
    ledger = rig.ledger()
    await store(ledger, *commits)
    await relayed(rig, ledger)
    return rig.events.ocos


GUARDED = EntryGuarded(entry_id=ENTRY_ID, at_ms=LAST_MS, cause="rule: no")


@on_virtual_time
async def test_an_acknowledged_list_is_armed() -> None:
    (change,) = await oco_changes(
        opened(), [planned_list()], [acknowledged(list_id(), "EXECUTING", "77")]
    )

    assert change == OcoChanged(
        at_ms=10,
        source="s1",
        entry_id=ENTRY_ID,
        symbol="BTCUSDT",
        state=OcoState.ARMED,
        order_list_id="77",
        tp_price=Decimal(110),
        sl_trigger_price=Decimal(90),
        qty=Decimal("1.5"),
        event_id=change.event_id,
    )


@on_virtual_time
async def test_a_list_that_is_rejected_at_once_is_not_armed() -> None:
    rejected = replace(acknowledged(list_id(), "REJECT"), ends=OrderEnding.REJECTED)

    assert not await oco_changes(opened(), [planned_list()], [rejected])


@on_virtual_time
@pytest.mark.parametrize(
    ("earlier", "qty"),
    [((), "2"), ((changed(EntryStatus.FILLED, 1, closed="0.5"),), "1.4")],
    ids=["no picture yet", "by the picture"],
)
async def test_a_guard_has_the_quantity_that_it_watches(
    earlier: Sequence[ExecutionEvent], qty: str
) -> None:
    commits = [opened(), *([earlier] if earlier else []), [GUARDED]]

    (change,) = await oco_changes(*commits)

    assert (change.state, change.qty) == (OcoState.GUARD, Decimal(qty))
    assert (change.order_list_id, change.at_ms) == ("", LAST_MS)
    assert (change.tp_price, change.sl_trigger_price) == (Decimal(110), Decimal(90))


@on_virtual_time
@pytest.mark.parametrize(
    ("status", "qty"),
    [
        (EntryStatus.TP_FILLED, "1.5"),
        (EntryStatus.SL_FILLED, "1.5"),
        (EntryStatus.CANCELED, "0.5"),
        (EntryStatus.FAILED, "0.5"),
    ],
)
async def test_an_end_names_the_newest_list_and_is_said_once(status: EntryStatus, qty: str) -> None:
    first = (planned_list(), acknowledged(list_id(), "EXECUTING", "77"))
    second = (planned_list(2), acknowledged(list_id(2), "EXECUTING", "78"))
    refused = OrderRefused(client_id=list_id(3), reason=RefusalReason.RULE, code=-1, message="No.")

    *_, change = changes = await oco_changes(
        opened(),
        first,
        second,
        [planned_list(3), refused],
        [changed(EntryStatus.ARMED, 1)],
        [changed(status, 2, closed="1.5")],
        [changed(status, 3, closed="1.6")],
    )

    assert [each.state for each in changes] == [OcoState.ARMED, OcoState.ARMED, OcoState(status)]
    assert (change.order_list_id, change.qty) == ("78", Decimal(qty))


@on_virtual_time
async def test_the_end_of_a_futures_entry_is_no_entry_of_spot() -> None:
    canceled = changed(EntryStatus.CANCELED, 1)

    assert not await oco_changes(opened(FUTURES), [canceled])


@on_virtual_time
@pytest.mark.parametrize("lost", ["orders:executed", "risk:sl_arm"])
async def test_the_loss_of_any_stream_is_noticed(lost: str) -> None:
    """The streams may be on different nodes, of which one fails over."""
    rig = Rig()
    ledger = rig.ledger()
    await store(ledger, ARMED, [planned(LIMIT), acknowledged(LIMIT.client_id)])
    relay = rig.relay(ledger)
    while await relay.advance():
        pass
    written = {each.event_id for each in rig.events.entries(lost)}
    (rig.events.stops if lost == "risk:sl_arm" else rig.events.events).clear()
    await rig.clock.sleep_ms(2_000)

    while await relay.advance():
        pass

    assert {each.event_id for each in rig.events.entries(lost)} == written
    assert len(written) > 0
