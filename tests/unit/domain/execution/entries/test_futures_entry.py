"""What a futures entry does next, rule by rule."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.events import EntryAlarmed, EntryReduced, EntryStatus
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, OnUnprotected
from chimera_s1.domain.execution.entries.steps import Cancel, Record
from chimera_s1.domain.execution.events import CancelCause, RefusalReason
from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    Limit,
    Market,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    Stop,
    TimeInForce,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from tests.unit.domain.execution.entries.futures_ledger import (
    ENTRY_ORDER,
    INSTRUMENT,
    SPEC,
    START_MS,
    FuturesLedger,
    child_of,
    close_id,
    stop_id,
)

ALARM_ONLY = replace(SPEC, on_unprotected=OnUnprotected.ALARM)


def working(spec: FuturesEntrySpec = SPEC, **changes: object) -> FuturesLedger:
    """An acknowledged entry order."""
    instrument = replace(INSTRUMENT, **changes)
    ledger = FuturesLedger(spec, instrument)
    ledger.report(ENTRY_ORDER)
    return ledger


def filled(qty: int, spec: FuturesEntrySpec = SPEC, **changes: object) -> FuturesLedger:
    ledger = working(spec, **changes)
    ledger.fill_entry(qty)
    return ledger


def protected(qty: int, spec: FuturesEntrySpec = SPEC, **changes: object) -> FuturesLedger:
    ledger = filled(qty, spec, **changes)
    while requests := ledger.placed():
        for request in requests:
            ledger.report(request.client_id)
    return ledger


def quantities(requests: list[OrderRequest]) -> list[tuple[str, int]]:
    """The kind and the quantity of each request."""
    found = []
    for request in requests:
        assert isinstance(request, PerpOrder | PerpAlgoOrder)
        found.append((type(request.body).__name__.lower(), int(request.body.qty)))
    return found


def test_the_stop_of_the_first_fill_is_placed_at_once() -> None:
    ledger = filled(3)

    assert ledger.placed() == [
        PerpAlgoOrder(
            client_id=stop_id(1),
            symbol=SPEC.symbol,
            side=Side.SELL,
            scope=OneWay(reduce_only=True),
            working_type=SPEC.working_type,
            body=Stop(qty=Decimal(3), trigger=Decimal(90)),
        )
    ]


def test_a_short_entry_in_hedge_mode_is_stopped_by_a_buy_of_its_side() -> None:
    spec = replace(SPEC, side=Side.SELL, position_side=HedgeSide.SHORT, stop_price=Decimal(110))
    (request,) = filled(3, spec).placed()

    assert isinstance(request, PerpAlgoOrder)
    assert request.side is Side.BUY
    assert request.scope == Hedged(position_side=HedgeSide.SHORT)


def test_later_fills_are_gathered_for_a_quarter_of_a_second() -> None:
    ledger = protected(3)
    ledger.fill_entry(2)
    assert ledger.placed() == []
    assert ledger.decide().wake_ms == START_MS + 250

    ledger.now_ms += 250
    assert quantities(ledger.placed()) == [("stop", 5)]


def test_later_fills_are_protected_at_once_when_the_entry_order_has_ended() -> None:
    ledger = protected(3)
    ledger.fill_entry(7)

    assert quantities(ledger.placed()) == [("stop", 10)]


def test_the_old_stop_is_cancelled_after_the_new_one_is_acknowledged() -> None:
    ledger = protected(3)
    ledger.fill_entry(7)
    ledger.placed()
    assert ledger.cancels() == []

    ledger.report(stop_id(2))
    assert ledger.cancels() == [stop_id(1)]


def test_an_order_that_is_being_placed_is_not_placed_twice() -> None:
    ledger = filled(3)
    ledger.busy.add(stop_id(1))

    assert ledger.placed() == []


def test_a_stop_with_an_unknown_outcome_is_looked_up_before_anything_else() -> None:
    ledger = filled(10)
    ledger.placed()
    ledger.lose(stop_id(1))
    ledger.now_ms += 60_000
    assert ledger.placed() == []
    assert ledger.look_ups() == [stop_id(1)]

    ledger.not_found.add(stop_id(1))
    (again,) = ledger.placed()
    assert again.client_id == stop_id(2)
    assert ledger.look_ups() == [stop_id(2)]


def test_a_stop_that_appears_late_makes_the_older_one_superfluous() -> None:
    ledger = filled(10)
    ledger.placed()
    ledger.lose(stop_id(1))
    ledger.not_found.add(stop_id(1))
    ledger.placed()
    ledger.report(stop_id(2))
    assert ledger.cancels() == []

    ledger.report(stop_id(1))
    assert ledger.cancels() == [stop_id(1)]


def test_nothing_is_closed_while_a_stop_has_an_unknown_outcome() -> None:
    ledger = filled(10)
    ledger.placed()
    ledger.lose(stop_id(1))
    ledger.not_found.add(stop_id(1))
    ledger.placed()
    ledger.refuse(stop_id(2), RefusalReason.ORDERS_MAX)
    ledger.now_ms += 30_000

    assert quantities(ledger.placed()) == [("stop", 10)]


@pytest.mark.parametrize("reason", [RefusalReason.WOULD_TRIGGER, RefusalReason.ORDERS_MAX])
def test_a_stop_that_is_refused_for_good_is_followed_by_a_close(reason: RefusalReason) -> None:
    ledger = filled(3)
    ledger.placed()
    ledger.refuse(stop_id(1), reason)

    assert ledger.placed() == [
        PerpOrder(
            client_id=close_id(1),
            symbol=SPEC.symbol,
            side=Side.SELL,
            scope=OneWay(reduce_only=True),
            body=Market(qty=Decimal(3)),
        )
    ]
    assert ledger.cancels() == [ENTRY_ORDER]


@pytest.mark.parametrize("reason", [RefusalReason.TURNED_AWAY, RefusalReason.REDUCE_ONLY])
def test_a_stop_that_is_turned_away_is_placed_again(reason: RefusalReason) -> None:
    ledger = filled(3)
    ledger.placed()
    ledger.refuse(stop_id(1), reason)
    (second,) = ledger.placed()
    ledger.refuse(second.client_id, reason)
    assert ledger.placed() == []
    assert ledger.decide().wake_ms == START_MS + 100

    ledger.now_ms += 100
    assert quantities(ledger.placed()) == [("stop", 3)]


def test_without_a_stop_for_ten_seconds_it_alarms_once_and_closes() -> None:
    ledger = filled(10)
    for number, later_ms in enumerate((0, 9_950), start=1):
        ledger.now_ms = START_MS + later_ms
        assert quantities(ledger.placed()) == [("stop", 10)]
        ledger.refuse(stop_id(number), RefusalReason.TURNED_AWAY, "busy")
    ledger.now_ms = START_MS + 9_999
    assert ledger.placed() == []
    ledger.now_ms += 1
    alarms = [event for event in ledger.records() if isinstance(event, EntryAlarmed)]

    assert [(int(alarm.qty), alarm.since_ms) for alarm in alarms] == [(10, START_MS)]
    assert quantities(ledger.placed()) == [("market", 10)]
    assert ledger.records() == []


def test_an_entry_that_asks_for_an_alarm_is_never_closed_for_a_refusal() -> None:
    ledger = filled(10, ALARM_ONLY)
    ledger.placed()
    ledger.refuse(stop_id(1), RefusalReason.ORDERS_MAX)
    ledger.now_ms += 10_000

    assert any(isinstance(event, EntryAlarmed) for event in ledger.records())
    assert quantities(ledger.placed()) == [("stop", 10)]
    assert ledger.status() == (EntryStatus.UNPROTECTED, "orders_max: no")


def test_after_a_restart_long_after_the_fill_a_stop_comes_before_a_close() -> None:
    ledger = filled(10)
    ledger.placed()
    ledger.not_sent(stop_id(1))
    ledger.now_ms += 3_600_000

    assert quantities(ledger.placed()) == [("stop", 10)]


def test_a_rate_limit_that_outlasts_the_ten_seconds_alarms_at_once() -> None:
    ledger = filled(10)
    ledger.placed()
    ledger.refuse(stop_id(1), RefusalReason.TURNED_AWAY)
    ledger.held_until_ms = START_MS + 30_000

    assert any(isinstance(event, EntryAlarmed) for event in ledger.records())
    assert ledger.placed() == []
    ledger.now_ms = ledger.held_until_ms
    assert quantities(ledger.placed()) == [("stop", 10)]


def test_what_is_held_above_the_largest_order_gets_several_stops() -> None:
    ledger = filled(10, market_max_qty=Decimal(4))
    assert quantities(ledger.placed()) == [("stop", 4)]
    ledger.report(stop_id(1))
    assert quantities(ledger.placed()) == [("stop", 4)]
    ledger.report(stop_id(2))
    assert quantities(ledger.placed()) == [("stop", 2)]
    ledger.report(stop_id(3))

    assert ledger.placed() == []
    assert ledger.cancels() == []


def test_a_close_is_cut_at_the_largest_order_and_repeated_until_flat() -> None:
    ledger = filled(10, market_max_qty=Decimal(4))
    ledger.placed()
    ledger.refuse(stop_id(1), RefusalReason.ORDERS_MAX, "200 at most")
    for number, qty in enumerate((4, 4, 2), start=1):
        assert quantities(ledger.placed()) == [("market", qty)]
        assert ledger.placed() == []
        ledger.trade(close_id(number), qty)
        ledger.report(close_id(number), "FILLED", qty)

    assert ledger.placed() == []
    assert ledger.status() == (EntryStatus.CLOSED, "closed: orders_max: 200 at most")


def test_a_close_that_leaves_the_price_band_becomes_a_limit_order_at_its_edge() -> None:
    ledger = filled(10)
    ledger.prices = CurrentPrices(bid=Decimal(89), ask=Decimal(90), reference=Decimal("90.01"))
    ledger.placed()
    ledger.refuse(stop_id(1), RefusalReason.WOULD_TRIGGER)
    ledger.placed()
    ledger.report(close_id(1), "EXPIRED")
    (request,) = ledger.placed()

    assert isinstance(request, PerpOrder)
    assert request.body == Limit(
        qty=Decimal(10), price=Decimal("85.6"), time_in_force=TimeInForce.IOC
    )


def test_the_child_of_a_triggered_stop_protects_until_it_ends() -> None:
    ledger = protected(10)
    ledger.report(stop_id(1), "TRIGGERED", child=child_of(stop_id(1)))
    ledger.report_child(stop_id(1), "PARTIALLY_FILLED", 4)
    ledger.now_ms += 60_000
    assert ledger.placed() == []
    assert ledger.cancels() == []

    ledger.report(stop_id(1), "FINISHED", child=child_of(stop_id(1)))
    ledger.report_child(stop_id(1), "EXPIRED", 4)
    assert quantities(ledger.placed()) == [("market", 6)]


def test_a_triggered_stop_that_is_not_filled_is_closed_whatever_the_caller_chose() -> None:
    ledger = protected(10, ALARM_ONLY)
    ledger.report(stop_id(1), "FINISHED", child=child_of(stop_id(1)))
    ledger.report_child(stop_id(1), "EXPIRED")

    assert quantities(ledger.placed()) == [("market", 10)]


def test_quantities_are_used_as_they_are_while_the_listing_is_not_known() -> None:
    ledger = FuturesLedger(SPEC, None)
    ledger.report(ENTRY_ORDER)
    ledger.fill_entry(10)

    assert quantities(ledger.placed()) == [("stop", 10)]


def test_attempts_slow_down_while_an_unresolved_stop_forbids_a_close() -> None:
    ledger = filled(10)
    for later_ms in (0, 9_000, 9_200):
        ledger.now_ms = START_MS + later_ms
        (request,) = ledger.placed()
        ledger.lose(request.client_id)
        ledger.not_found.add(request.client_id)
    ledger.now_ms = START_MS + 15_000
    assert ledger.placed() == []

    for number in (1, 2, 3):
        ledger.absent(stop_id(number))
    assert quantities(ledger.placed()) == [("market", 10)]


def test_a_filled_stop_closes_the_entry() -> None:
    ledger = protected(10)
    assert ledger.status() == (EntryStatus.PROTECTED, "")
    ledger.report(stop_id(1), "TRIGGERED", child=child_of(stop_id(1)))
    ledger.report_child(stop_id(1), "FILLED", 10)
    ledger.report(stop_id(1), "FINISHED", child=child_of(stop_id(1)))

    assert ledger.status() == (EntryStatus.CLOSED, "stop_filled")


def test_a_stop_that_somebody_cancels_is_placed_again_without_a_close() -> None:
    ledger = protected(10)
    ledger.now_ms += 3_600_000
    ledger.report(stop_id(1), "CANCELED")

    assert [event for event in ledger.records() if isinstance(event, EntryAlarmed)] == []
    assert quantities(ledger.placed()) == [("stop", 10)]


def test_stops_that_are_dropped_again_and_again_end_in_an_alarm_and_a_close() -> None:
    ledger = protected(10)
    while not (kinds := quantities(ledger.placed())) or kinds == [("stop", 10)]:
        for stop in ledger.situation().orders.stops:
            ledger.report(stop.client_id)
            ledger.report(stop.client_id, "EXPIRED")
        ledger.now_ms += 100
        assert ledger.now_ms < START_MS + 13_000

    assert kinds == [("market", 10)]
    assert any(isinstance(event, EntryAlarmed) for event in ledger.records())


def test_what_others_close_is_recorded_once_that_is_certain() -> None:
    ledger = protected(10)
    ledger.records()
    ledger.now_ms += 60_000
    ledger.trade_elsewhere(4)
    assert ledger.records() == []
    assert ledger.decide().wake_ms == ledger.now_ms + 15_000

    ledger.now_ms += 15_000
    (reduced, *_) = ledger.records()
    assert isinstance(reduced, EntryReduced)
    assert reduced.qty == 4


def test_stops_shrink_to_what_others_have_left() -> None:
    ledger = protected(10)
    ledger.now_ms += 60_000
    ledger.trade_elsewhere(4)
    ledger.now_ms += 15_000
    ledger.records()
    assert ledger.cancels() == []
    assert quantities(ledger.placed()) == [("stop", 6)]
    assert ledger.cancels() == []

    ledger.report(stop_id(2))
    assert ledger.cancels() == [stop_id(1)]


def test_a_smaller_stop_that_is_refused_is_tried_again_a_minute_later() -> None:
    ledger = protected(10)
    ledger.now_ms += 60_000
    ledger.trade_elsewhere(4)
    ledger.now_ms += 15_000
    ledger.records()
    ledger.placed()
    ledger.refuse(stop_id(2), RefusalReason.ORDERS_MAX)
    assert ledger.placed() == []
    assert ledger.cancels() == []

    ledger.now_ms += 60_000
    assert quantities(ledger.placed()) == [("stop", 6)]


def test_the_cancel_of_a_stop_is_not_repeated_when_the_newer_one_is_lost() -> None:
    ledger = protected(3)
    ledger.fill_entry(7)
    ledger.placed()
    ledger.report(stop_id(2))
    ledger.cancel_requested(Cancel(client_id=stop_id(1)))
    ledger.report(stop_id(2), "EXPIRED")
    ledger.now_ms += 2_000

    assert ledger.cancels() == []
    assert quantities(ledger.placed()) == [("stop", 10)]


def test_an_entry_that_others_have_closed_only_cancels_its_stops() -> None:
    ledger = protected(10)
    ledger.now_ms += 60_000
    ledger.trade_elsewhere(10)
    ledger.now_ms += 15_000
    ledger.records()
    assert ledger.placed() == []
    assert ledger.cancels() == [stop_id(1)]

    ledger.report(stop_id(1), "CANCELED")
    assert ledger.status() == (EntryStatus.CLOSED, "closed_elsewhere")


def test_a_trade_of_a_triggered_stop_is_not_taken_for_one_of_others() -> None:
    ledger = protected(10)
    ledger.now_ms += 60_000
    ledger.trade(stop_id(1), 10, child_of(stop_id(1)))
    ledger.now_ms += 100
    ledger.report(stop_id(1), "TRIGGERED", child=child_of(stop_id(1)))
    ledger.now_ms += 60_000

    assert not any(isinstance(event, EntryReduced) for event in ledger.records())


def test_the_entry_order_is_cancelled_when_its_time_is_over_and_again_every_two_seconds() -> None:
    ledger = working()
    assert ledger.decide().wake_ms == START_MS + 60_000
    assert ledger.decide().waiting_for == "the limit order, until 00:17:40.000"
    ledger.now_ms += 60_000
    step = Cancel(client_id=ENTRY_ORDER, cause=CancelCause.TIMEOUT)
    assert ledger.decide().steps[0] == step
    ledger.cancel_requested(step)
    ledger.busy.add(ENTRY_ORDER)
    ledger.now_ms += 2_000
    assert ledger.cancels() == []

    ledger.busy.clear()
    assert ledger.decide().steps[0] == step


def test_a_cancel_that_races_with_a_fill_concludes_nothing() -> None:
    ledger = working()
    ledger.now_ms += 60_000
    ledger.cancel_requested(Cancel(client_id=ENTRY_ORDER, cause=CancelCause.TIMEOUT))
    ledger.fill_entry(10)

    assert quantities(ledger.placed()) == [("stop", 10)]
    assert ledger.cancels() == []


def test_a_cancel_ends_the_entry_order_and_leaves_the_stop() -> None:
    ledger = protected(3)
    ledger.cancel()
    assert ledger.cancels() == [ENTRY_ORDER]
    ledger.report(ENTRY_ORDER, "CANCELED", 3)

    assert ledger.cancels() == []
    assert ledger.status() == (EntryStatus.PROTECTED, "")


def test_disarming_cancels_the_entry_order_first_and_then_the_stop() -> None:
    ledger = protected(3)
    ledger.cancel(disarm=True)
    assert ledger.cancels() == [ENTRY_ORDER]
    ledger.report(ENTRY_ORDER, "CANCELED", 3)
    assert ledger.cancels() == [stop_id(1)]
    ledger.report(stop_id(1), "CANCELED")

    assert ledger.status() == (EntryStatus.CANCELED, "disarmed")
    assert ledger.placed() == []


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("acknowledged", (EntryStatus.WORKING, "")),
        ("unknown", (EntryStatus.NEW, "")),
        ("expired", (EntryStatus.REJECTED, "post_only")),
        ("post_only", (EntryStatus.REJECTED, "post_only: no")),
        ("absent", (EntryStatus.REJECTED, "the exchange does not know the order")),
        ("not_sent", (EntryStatus.REJECTED, "not_sent: too late")),
        ("timeout", (EntryStatus.TIMEOUT, "")),
        ("canceled", (EntryStatus.CANCELED, "")),
    ],
)
def test_the_status_without_a_fill(outcome: str, expected: tuple[EntryStatus, str]) -> None:
    ledger = FuturesLedger()
    match outcome:
        case "acknowledged":
            ledger.report(ENTRY_ORDER)
        case "unknown":
            ledger.lose(ENTRY_ORDER)
        case "expired":
            ledger.report(ENTRY_ORDER, "EXPIRED")
        case "post_only":
            ledger.refuse(ENTRY_ORDER, RefusalReason.POST_ONLY)
        case "absent":
            ledger.absent(ENTRY_ORDER)
        case "not_sent":
            ledger.not_sent(ENTRY_ORDER)
        case "timeout":
            ledger.report(ENTRY_ORDER)
            step = Cancel(client_id=ENTRY_ORDER, cause=CancelCause.TIMEOUT)
            ledger.cancel_requested(step)
            ledger.report(ENTRY_ORDER, "CANCELED")
        case _:
            ledger.report(ENTRY_ORDER, "CANCELED")

    assert ledger.status() == expected


def test_an_order_that_turns_up_after_its_entry_was_rejected_is_cancelled() -> None:
    ledger = FuturesLedger()
    ledger.absent(ENTRY_ORDER)
    ledger.records()
    ledger.report(ENTRY_ORDER)

    assert ledger.cancels() == [ENTRY_ORDER]
    assert ledger.status() == (EntryStatus.WORKING, "")


def test_a_quantity_below_the_smallest_order_is_named_as_dust() -> None:
    ledger = filled(10, market_step_size=Decimal(4), market_min_qty=Decimal(4))
    (request,) = ledger.placed()
    ledger.report(request.client_id)
    ledger.records()
    picture = ledger.situation().entry.picture

    assert quantities([request]) == [("stop", 8)]
    assert picture is not None
    assert picture.status is EntryStatus.PROTECTED
    assert (picture.protected_qty, picture.dust) == (Decimal(8), Decimal(2))


def test_the_picture_is_the_last_step_and_is_recorded_once() -> None:
    ledger = filled(3)
    steps = ledger.decide().steps

    assert [type(step).__name__ for step in steps] == ["Place", "Record"]
    assert ledger.status() == (EntryStatus.PARTIALLY_FILLED, "a stop is being placed")
    assert ledger.records() == []


def test_a_stop_is_moved_to_a_new_tick_rather_earlier_than_later() -> None:
    (request,) = filled(3, replace(SPEC, stop_price=Decimal("90.5")), tick_size=Decimal(1)).placed()

    assert isinstance(request, PerpAlgoOrder)
    assert request.body == Stop(qty=Decimal(3), trigger=Decimal(91))


def test_what_no_legal_stop_can_protect_is_closed() -> None:
    """The rules of the instrument have changed since the entry was accepted."""
    without_stops = ("LIMIT", "MARKET")
    ledger = filled(3, order_types=without_stops)
    alarm_only = filled(3, ALARM_ONLY, order_types=without_stops)

    assert quantities(ledger.placed()) == [("market", 3)]
    assert quantities(alarm_only.placed()) == [("stop", 3)]


def test_a_triggered_stop_that_does_not_fill_is_an_alarm() -> None:
    ledger = protected(10)
    ledger.report(stop_id(1), "TRIGGERED", child=child_of(stop_id(1)))
    calm = ledger.decide()
    ledger.now_ms += 10_000
    events = [step.event for step in ledger.decide().steps if isinstance(step, Record)]

    assert calm.wake_ms == START_MS + 10_000
    (alarm,) = [event for event in events if isinstance(event, EntryAlarmed)]
    assert (alarm.qty, alarm.cause) == (Decimal(10), "a triggered stop does not fill")
    assert ledger.placed() == []
