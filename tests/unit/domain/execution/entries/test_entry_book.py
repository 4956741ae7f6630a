"""The entries of the ledger, and their orders."""

from decimal import Decimal

import pytest
from msgspec import structs

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.entries.book import DAY_MS
from chimera_s1.domain.execution.entries.entry import EntryOrders
from chimera_s1.domain.execution.entries.events import (
    EntryAccepted,
    EntryCancelRequested,
    EntryChanged,
    EntryStatus,
)
from chimera_s1.domain.execution.entries.order_ids import OrderRole, OrderStep, order_id, step_of
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec
from chimera_s1.domain.execution.event_records import decode_event, to_new_event
from chimera_s1.domain.execution.events import OrderPlanned, OrderRefused, RefusalReason
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_request import (
    Limit,
    OneWay,
    PerpOrder,
    Side,
    TimeInForce,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ledger.commit import RecordedEvent

SPEC = FuturesEntrySpec(
    symbol=Symbol("BTCUSDT"),
    side=Side.BUY,
    qty=Decimal("0.01"),
    limit_price=Decimal(60_000),
    stop_price=Decimal(59_000),
    timeout_ms=60_000,
)


def accepted(entry_id: str) -> EntryAccepted:
    return EntryAccepted(
        entry_id=entry_id,
        at_ms=1,
        spec=SPEC,
        body_hash="h",
        notional_usdt=Decimal(600),
        actor="s4",
    )


def changed(entry_id: str, status: EntryStatus) -> EntryChanged:
    zero = Decimal(0)
    return EntryChanged(
        entry_id=entry_id,
        at_ms=2,
        number=1,
        status=status,
        filled_qty=zero,
        avg_price=None,
        protected_qty=zero,
        closed_qty=zero,
        dust=zero,
        message="",
    )


def planned(entry_id: str, role: OrderRole, number: int = 1) -> OrderPlanned:
    client_id = order_id(entry_id, role, number)
    body = Limit(qty=SPEC.qty, price=SPEC.limit_price, time_in_force=TimeInForce.GTX)
    request = PerpOrder(
        client_id=client_id,
        symbol=SPEC.symbol,
        side=SPEC.side,
        scope=OneWay(reduce_only=False),
        body=body,
    )
    return OrderPlanned(
        client_id=client_id,
        request=request,
        entry_id=entry_id,
        signed_at_ms=1,
        recv_window_ms=2_000,
        request_hash="r",
    )


def refused(plan: OrderPlanned) -> OrderRefused:
    return OrderRefused(client_id=plan.client_id, reason=RefusalReason.OTHER, code=-1, message="no")


@pytest.mark.parametrize("role", OrderRole)
def test_a_client_id_is_derived_from_the_entry_and_the_step(role: OrderRole) -> None:
    made = order_id("an entry id of any length: " + "x" * 90, role, 12)

    assert made == order_id("an entry id of any length: " + "x" * 90, role, 12)
    assert len(made) <= 36
    assert step_of(made) == OrderStep(role, 12)


@pytest.mark.parametrize("text", ["s1-other", "s1-abc-e1", "x", "s1-" + "a" * 20 + "-z1"])
def test_other_client_ids_are_no_step(text: str) -> None:
    assert step_of(text) is None


def test_orders_are_sorted_by_role_and_number() -> None:
    state = ExecutionState()
    for plan in (
        planned("e1", OrderRole.STOP, 10),
        planned("e1", OrderRole.STOP, 9),
        planned("e1", OrderRole.ENTRY),
    ):
        state.apply(plan)

    orders = EntryOrders.of(state.orders[name] for name in state.entries.orders_of("e1"))

    assert orders.entry is not None
    assert [step_of(stop.client_id) for stop in orders.stops] == [
        (OrderRole.STOP, 9),
        (OrderRole.STOP, 10),
    ]


def test_events_survive_the_ledger() -> None:
    event = accepted("e1")
    new = to_new_event(event)

    assert new.stream == "entry/e1"
    record = RecordedEvent(0, "id", new.stream, 1, new.type, new.v, new.data)
    assert decode_event(record) == event


def test_an_entry_is_accepted_once_and_before_all_else() -> None:
    state = ExecutionState()
    with pytest.raises(LedgerDamagedError, match="never accepted"):
        state.apply(changed("e1", EntryStatus.WORKING))
    state.apply(accepted("e1"))
    with pytest.raises(LedgerDamagedError, match="accepted twice"):
        state.apply(accepted("e1"))


def test_a_later_cancel_does_not_take_back_that_protection_goes() -> None:
    state = ExecutionState()
    state.apply(accepted("e1"))
    for disarm in (True, False):
        state.apply(EntryCancelRequested(entry_id="e1", at_ms=2, disarm=disarm, actor="s4"))

    cancel = state.entries.entries["e1"].cancel
    assert cancel is not None
    assert cancel.disarm


def test_changes_are_taken_once() -> None:
    state = ExecutionState()
    state.apply(accepted("e1"))
    state.apply(planned("e1", OrderRole.ENTRY))

    assert state.entries.take_touched() == ("e1",)
    assert state.entries.take_touched() == ()


def test_orders_of_an_open_entry_stay_in_memory() -> None:
    """An ended entry order still says what was filled."""
    state = ExecutionState(ended_orders_max=2)
    state.apply(accepted("open"))
    kept = planned("open", OrderRole.ENTRY)
    others = [planned("none", OrderRole.STOP, number) for number in range(1, 6)]
    for plan in (kept, *others):
        state.apply(plan)
        state.apply(refused(plan))

    assert kept.client_id in state.orders
    assert state.orders_forgotten == 4

    state.apply(changed("open", EntryStatus.REJECTED))
    for number in (6, 7):
        plan = planned("none", OrderRole.STOP, number)
        state.apply(plan)
        state.apply(refused(plan))

    assert kept.client_id not in state.orders


def test_ended_entries_leave_memory_the_oldest_first() -> None:
    state = ExecutionState()
    state.entries = type(state.entries)(ended_max=1)
    for name in ("e1", "e2", "e3"):
        state.apply(accepted(name))
        if name != "e3":
            state.apply(changed(name, EntryStatus.CANCELED))

    assert list(state.entries.entries) == ["e2", "e3"]
    assert [entry.entry_id for entry in state.entries.open_entries()] == ["e3"]
    assert state.entries.forgotten == 1
    state.apply(changed("e1", EntryStatus.CANCELED))  # its stream has it


def test_entries_of_one_utc_day_are_summed() -> None:
    state = ExecutionState()
    days = {"e1": 0, "e2": 0, "e3": 1}
    for name, day in days.items():
        state.apply(structs.replace(accepted(name), at_ms=day * DAY_MS + DAY_MS - 1))

    assert state.entries.accepted_usdt(0) == Decimal(1_200)
    assert state.entries.accepted_usdt(DAY_MS) == Decimal(600)
    assert state.entries.accepted_usdt(2 * DAY_MS) == 0
