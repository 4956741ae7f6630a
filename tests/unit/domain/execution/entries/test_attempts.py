"""What became of an entry's orders, and when the next attempt is due."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.attempts import (
    cancel,
    is_awaited,
    is_refused,
    look_up_unresolved,
    market_chunks,
    market_dust,
    next_order_id,
    retry_ms,
)
from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryStatus
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.pictures import (
    Picture,
    record_alarm,
    record_picture,
)
from chimera_s1.domain.execution.entries.plan import Plan, clock_text
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec
from chimera_s1.domain.execution.entries.steps import Cancel, LookUp, Record, Situation
from chimera_s1.domain.execution.events import CancelCause, RefusalReason
from chimera_s1.domain.execution.order_request import (
    Market,
    OneWay,
    PerpOrder,
    Side,
)
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

BTC = Symbol("BTCUSDT")
ENTRY = Entry(
    accepted=EntryAccepted(
        entry_id="e1",
        at_ms=1,
        spec=FuturesEntrySpec(
            symbol=BTC,
            side=Side.BUY,
            qty=Decimal(5),
            limit_price=Decimal(100),
            stop_price=Decimal(90),
            timeout_ms=60_000,
        ),
        body_hash="h",
        notional_usdt=Decimal(500),
        actor="s4",
    )
)


def attempt(number: int, phase: OrderPhase, signed_at_ms: int = 0) -> TrackedOrder:
    request = PerpOrder(
        client_id=order_id("e1", OrderRole.CLOSE, number),
        symbol=BTC,
        side=Side.SELL,
        scope=OneWay(reduce_only=True),
        body=Market(qty=Decimal(1)),
    )
    return TrackedOrder(
        request=request,
        entry_id="e1",
        phase=phase,
        signed_at_ms=signed_at_ms,
        recv_window_ms=2_000,
    )


def situation(
    *, now_ms: int = 0, busy: frozenset[str] = frozenset(), not_found: frozenset[str] = frozenset()
) -> Situation:
    return Situation(
        entry=ENTRY, orders=EntryOrders(), now_ms=now_ms, busy=busy, not_found=not_found
    )


@pytest.mark.parametrize(
    ("count", "wait_ms"),
    [
        (0, None),
        (1, None),
        (2, 100),
        (3, 200),
        (4, 400),
        (6, 1_600),
        (7, 2_000),
        (31, 2_000),
        (32, 60_000),
        (5_000, 60_000),
    ],
)
def test_the_wait_between_attempts_doubles_up_to_two_seconds_and_ends_at_a_minute(
    count: int, wait_ms: int | None
) -> None:
    attempts = [attempt(number + 1, OrderPhase.REFUSED, 1_000) for number in range(count)]

    assert retry_ms(attempts) == (0 if wait_ms is None else 1_000 + wait_ms)


def test_a_fill_ends_a_run_of_failures() -> None:
    filled = replace(attempt(3, OrderPhase.CLOSED, 1_000), reported_qty=Decimal(1))
    failed = [attempt(1, OrderPhase.REFUSED, 1_000), attempt(2, OrderPhase.ABSENT, 1_000)]

    assert retry_ms([*failed, filled, attempt(4, OrderPhase.NOT_SENT, 1_000)]) == 0


def test_an_order_number_is_never_used_twice() -> None:
    attempts = [attempt(1, OrderPhase.ABSENT), attempt(7, OrderPhase.REFUSED)]

    assert next_order_id("e1", OrderRole.CLOSE, attempts) == order_id("e1", OrderRole.CLOSE, 8)


@pytest.mark.parametrize("phase", [OrderPhase.PLANNED, OrderPhase.UNKNOWN])
def test_an_unresolved_order_is_looked_up_once_and_not_while_its_request_is_under_way(
    phase: OrderPhase,
) -> None:
    order = attempt(1, phase)
    ids = frozenset({order.client_id})

    def look_ups(situation: Situation) -> int:
        plan = Plan(0)
        look_up_unresolved([order], situation, plan)
        return sum(isinstance(step, LookUp) for step in plan.next_steps().steps)

    assert look_ups(situation()) == 1
    assert look_ups(situation(busy=ids)) == 0
    assert look_ups(situation(not_found=ids)) == 0
    assert is_awaited(order, situation())
    assert is_awaited(order, situation(busy=ids, not_found=ids))
    assert not is_awaited(order, situation(not_found=ids))


@pytest.mark.parametrize(
    ("reason", "final"),
    [
        (RefusalReason.TURNED_AWAY, False),
        (RefusalReason.REDUCE_ONLY, False),
        (RefusalReason.WOULD_TRIGGER, True),
        (RefusalReason.ORDERS_MAX, True),
        (RefusalReason.AGREEMENT, True),
    ],
)
def test_which_refusals_are_final(reason: RefusalReason, *, final: bool) -> None:
    assert is_refused(replace(attempt(1, OrderPhase.REFUSED), refusal=reason)) is final


def test_a_cancel_is_repeated_every_two_seconds_with_its_first_cause() -> None:
    live = attempt(1, OrderPhase.ACKNOWLEDGED)
    asked = replace(live, cancel_requested_ms=1_000, cancel_cause=CancelCause.TIMEOUT)

    def steps(order: TrackedOrder, now_ms: int) -> tuple[object, ...]:
        plan = Plan(now_ms)
        cancel(order, CancelCause.REQUESTED, situation(now_ms=now_ms), plan)
        return (*plan.next_steps().steps, plan.next_steps().wake_ms)

    assert steps(live, 1_000) == (Cancel(client_id=live.client_id), None)
    assert steps(asked, 2_999) == (3_000,)
    again = Cancel(client_id=live.client_id, cause=CancelCause.TIMEOUT)
    assert steps(asked, 3_000) == (again, None)


def test_quantities_follow_the_rules_of_market_orders() -> None:
    spec = InstrumentSpec(
        instrument=InstrumentId(Venue.PERP, BTC),
        status="TRADING",
        base_asset="BTC",
        quote_asset="USDT",
        market_step_size=Decimal("0.1"),
        market_min_qty=Decimal("0.2"),
        market_max_qty=Decimal(2),
    )

    assert market_chunks(Decimal(5), spec) == tuple(map(Decimal, (2, 2, 1)))
    assert market_chunks(Decimal("0.1"), spec) == ()
    assert market_chunks(Decimal("0.1"), None) == (Decimal("0.1"),)
    assert market_dust(Decimal("5.05"), spec) == Decimal("0.05")
    assert market_dust(Decimal("0.15"), spec) == Decimal("0.15")


def test_a_picture_is_recorded_when_it_differs() -> None:
    picture = Picture(
        status=EntryStatus.WORKING,
        filled_qty=Decimal(0),
        avg_price=None,
        protected_qty=Decimal(0),
        closed_qty=Decimal(0),
    )
    first = Plan(5)
    record_picture(ENTRY, picture, first)
    (step,) = first.next_steps().steps
    assert isinstance(step, Record)
    event = step.event
    again, other = Plan(6), Plan(7)
    known = replace(ENTRY, picture=event)
    record_picture(known, picture, again)
    record_picture(known, replace(picture, message="why"), other)

    assert again.next_steps().steps == ()
    (step,) = other.next_steps().steps
    assert isinstance(step, Record)
    assert step.event == replace(event, number=2, at_ms=7, message="why")


def test_an_exposure_alarms_once_after_ten_seconds() -> None:
    early, due, alarmed = Plan(10_999), Plan(11_000), Plan(20_000)
    record_alarm(ENTRY, Decimal(2), 1_000, "no stop", early)
    record_alarm(ENTRY, Decimal(2), 1_000, "no stop", due)
    record_alarm(replace(ENTRY, alarmed_ms=11_000), Decimal(2), 1_000, "no stop", alarmed)

    assert early.next_steps().steps == ()
    assert early.next_steps().wake_ms == 11_000
    assert len(due.next_steps().steps) == 1
    assert alarmed.next_steps().steps == ()


def test_the_timeline_names_the_next_timer() -> None:
    plan = Plan(1_000)
    plan.is_due(9_000, "the stop")
    plan.is_due(5_000, "the limit order")

    assert plan.next_steps().waiting_for == "the limit order, until 00:00:05.000"
    assert plan.next_steps().wake_ms == 5_000
    assert clock_text(86_400_000 + 43_205_007) == "12:00:05.007"
