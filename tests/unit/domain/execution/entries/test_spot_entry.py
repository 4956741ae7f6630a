"""What a spot entry does next, rule by rule."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.events import EntryStatus, GuardLeg
from chimera_s1.domain.execution.entries.specs import QuoteAmount, SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_requests import oco_request
from chimera_s1.domain.execution.entries.steps import Cancel, LookUp, Place
from chimera_s1.domain.execution.events import (
    CancelRequested,
    OrderAbsent,
    OrderNotSent,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.execution.order_request import (
    Limit,
    Market,
    OcoStop,
    Side,
    SpotOco,
    SpotOrder,
    TimeInForce,
)
from tests.unit.domain.execution.entries.spot_desk import (
    ENTRY_ID,
    ENTRY_ORDER,
    SpotDesk,
    buy,
    exit_id,
    oco_id,
    sell,
)
from tests.unit.domain.execution.entries.spot_exchange import INSTRUMENT


def armed() -> SpotDesk:
    desk = SpotDesk(buy()).fill()
    desk.place()
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.ARMED
    return desk


def guarded(reason: RefusalReason = RefusalReason.UNSUPPORTED) -> SpotDesk:
    desk = SpotDesk(buy()).fill()
    desk.refuse(reason)
    assert desk.step() is None
    assert desk.entry.guard is not None
    return desk


def test_the_list_sells_what_was_bought_less_the_commission() -> None:
    desk = SpotDesk(buy()).fill()

    request = desk.place()

    assert isinstance(request, SpotOco)
    assert (request.side, request.qty) == (Side.SELL, Decimal("0.999"))
    assert request.take_profit.price == 110
    assert request.stop == OcoStop(client_id=request.stop.client_id, trigger=Decimal(90))


def test_what_is_less_than_a_step_is_dust() -> None:
    desk = SpotDesk(buy("0.5")).fill()
    request = desk.place()
    desk.decide()

    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.499")
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.dust) == (EntryStatus.ARMED, Decimal("0.0005"))


def test_commission_in_another_asset_takes_nothing() -> None:
    desk = SpotDesk(buy())
    desk.exchange.commission_asset = "BNB"

    request = desk.fill().place()

    assert isinstance(request, SpotOco)
    assert request.qty == 1


def test_what_was_sold_is_bought_back() -> None:
    request = SpotDesk(sell()).fill().place()

    assert isinstance(request, SpotOco)
    assert (request.side, request.qty) == (Side.BUY, Decimal(1))
    assert request.take_profit.price == 90
    assert request.stop.trigger == 110


def test_an_amount_of_quote_is_protected_as_filled() -> None:
    desk = SpotDesk(replace(buy(), amount=QuoteAmount(usdt=Decimal(50)))).fill()

    request = desk.place()

    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.499")


def test_a_market_order_that_expires_is_protected_as_far_as_it_filled() -> None:
    desk = SpotDesk(buy())
    desk.exchange.fill_limit = Decimal("0.4")

    request = desk.fill().place()

    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.399")


def test_an_entry_that_filled_nothing_is_rejected() -> None:
    desk = SpotDesk(buy())
    desk.exchange.fill_limit = Decimal(0)
    desk.fill()

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.REJECTED
    assert not desk.entry.is_open


def test_a_refused_entry_is_rejected_with_the_words_of_the_exchange() -> None:
    desk = SpotDesk(buy())
    desk.accept()
    desk.decide()
    assert desk.entry.status is EntryStatus.NEW
    desk.conclude(
        OrderRefused(
            client_id=ENTRY_ORDER, reason=RefusalReason.BALANCE, code=-2010, message="too little"
        )
    )

    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.message) == (EntryStatus.REJECTED, "too little")


def test_an_entry_order_of_unknown_outcome_is_looked_up_and_never_placed_again() -> None:
    desk = SpotDesk(buy())
    desk.accept()
    desk.conclude(OrderUnknown(client_id=ENTRY_ORDER, cause="time-out"))

    assert desk.look_up() == ENTRY_ORDER
    assert desk.step() is None
    desk.conclude(OrderAbsent(client_id=ENTRY_ORDER, lookups=3, last_lookup_ms=desk.now_ms))
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.REJECTED

    desk.exchange.place(desk.entry_request)
    desk.report(ENTRY_ORDER)
    assert isinstance(desk.place(), SpotOco)


def test_an_unknown_commission_is_waited_for_and_then_assumed() -> None:
    desk = SpotDesk(buy())
    desk.exchange.commission_asset = None
    desk.fill()

    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.now_ms + 2_000)
    assert "commission" in decided.waiting_for
    desk.pass_ms(2_000)
    request = desk.refuse(RefusalReason.BALANCE)
    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.999")

    again = desk.place()
    assert isinstance(again, SpotOco)
    assert again.qty == Decimal("0.998")


def test_a_list_of_unknown_outcome_is_looked_up_before_another_is_placed() -> None:
    desk = SpotDesk(buy()).fill()
    desk.lose(placed=False)

    assert desk.look_up() == oco_id(1)
    assert desk.placed().client_id == oco_id(2)


def test_nothing_is_asked_or_placed_while_the_request_is_under_way() -> None:
    desk = SpotDesk(buy()).fill()
    desk.busy.add(oco_id())
    assert desk.step() is None

    desk.busy.clear()
    desk.placed()
    desk.busy.add(oco_id())
    assert desk.step() is None


def test_a_list_that_a_lookup_finds_stands() -> None:
    desk = SpotDesk(buy()).fill()
    desk.lose(placed=True)
    desk.look_up()

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.ARMED


def test_one_list_at_most_is_placed_beside_one_of_unknown_outcome() -> None:
    desk = SpotDesk(buy()).fill()
    for _ in range(2):
        desk.lose(placed=False)
        desk.look_up()

    assert desk.step() is None
    desk.conclude(OrderAbsent(client_id=oco_id(1), lookups=3, last_lookup_ms=desk.now_ms))
    desk.pass_ms(2_000)
    assert desk.placed().client_id == oco_id(3)


def test_a_list_that_appears_late_is_cancelled() -> None:
    desk = SpotDesk(buy()).fill()
    lost = desk.lose(placed=False)
    desk.look_up()
    desk.place()
    desk.exchange.place(lost)
    desk.report(lost.client_id)

    assert desk.cancel() == lost.client_id
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.ARMED


@pytest.mark.parametrize("reason", [RefusalReason.TURNED_AWAY, None])
def test_a_list_that_was_turned_away_is_placed_again(reason: RefusalReason | None) -> None:
    desk = SpotDesk(buy()).fill()
    for _ in range(2):
        if reason is None:
            request = desk.placed()
            desk.conclude(OrderNotSent(client_id=request.client_id, cause="late"))
        else:
            desk.refuse(reason)

    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.now_ms + 100)
    desk.pass_ms(100)
    assert desk.placed().client_id == oco_id(3)
    assert desk.entry.guard is None


@pytest.mark.parametrize(
    "reason",
    [
        RefusalReason.UNSUPPORTED,
        RefusalReason.RULE,
        RefusalReason.ORDERS_MAX,
        RefusalReason.FORBIDDEN,
        RefusalReason.OTHER,
    ],
)
def test_a_refused_list_makes_a_guard(reason: RefusalReason) -> None:
    desk = SpotDesk(buy()).fill()
    desk.refuse(reason, "the exchange's words")

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.GUARD
    assert desk.entry.guard is not None
    assert desk.entry.guard.cause == "the exchange's words"


def test_a_list_against_the_rules_of_the_symbol_makes_a_guard() -> None:
    desk = SpotDesk(buy()).fill()
    desk.instrument = replace(INSTRUMENT, oco_allowed=False)

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.GUARD


@pytest.mark.parametrize(
    ("reason", "bid", "leg"),
    [
        (RefusalReason.WOULD_TRIGGER, "", GuardLeg.STOP),
        (RefusalReason.POST_ONLY, "", GuardLeg.TAKE_PROFIT),
        (RefusalReason.RULE, "89", GuardLeg.STOP),
        (RefusalReason.RULE, "111", GuardLeg.TAKE_PROFIT),
    ],
)
def test_a_list_refused_because_the_price_has_passed_is_an_exit_at_once(
    reason: RefusalReason, bid: str, leg: GuardLeg
) -> None:
    desk = SpotDesk(buy()).fill()
    desk.sees_prices = bool(bid)
    desk.move(bid or "100")
    desk.refuse(reason)

    request = desk.place()

    assert isinstance(request, SpotOrder)
    assert (request.side, request.body) == (Side.SELL, Market(qty=Decimal("0.999")))
    assert desk.entry.triggered is not None
    assert desk.entry.triggered.leg is leg
    assert desk.step() is None
    assert desk.entry.status is (
        EntryStatus.SL_FILLED if leg is GuardLeg.STOP else EntryStatus.TP_FILLED
    )


@pytest.mark.parametrize(
    ("spec", "bid", "status"),
    [
        (buy(), "90", EntryStatus.SL_FILLED),
        (buy(), "110", EntryStatus.TP_FILLED),
        (sell(), "109.99", EntryStatus.SL_FILLED),
        (sell(), "89.99", EntryStatus.TP_FILLED),
    ],
)
def test_the_guard_exits_when_the_price_reaches_a_leg(
    spec: SpotEntrySpec, bid: str, status: EntryStatus
) -> None:
    desk = SpotDesk(spec).fill()
    desk.refuse(RefusalReason.UNSUPPORTED)
    assert desk.step() is None

    desk.move(bid)
    request = desk.place()

    assert isinstance(request, SpotOrder)
    assert isinstance(request.body, Market)
    assert desk.step() is None
    assert desk.entry.status is status


def test_the_guard_exits_once_whatever_the_price_does_then() -> None:
    desk = guarded()
    desk.move("89")
    assert isinstance(desk.step(), Place)
    desk.move("100")
    desk.sees_prices = False

    assert isinstance(desk.step(), Place)


def test_a_guard_without_prices_raises_an_alarm() -> None:
    desk = guarded()
    desk.sees_prices = False
    desk.blind_since_ms = desk.now_ms + 500

    assert desk.decide().wake_ms == desk.now_ms + 10_500
    desk.pass_ms(10_500)
    desk.decide()
    assert desk.entry.alarmed_ms == desk.now_ms
    alarmed = desk.entry.status
    desk.sees_prices = True
    desk.decide()

    assert (alarmed, desk.entry.status) == (EntryStatus.UNPROTECTED, EntryStatus.GUARD)


def test_an_exit_is_repeated_until_nothing_is_held() -> None:
    desk = guarded()
    desk.move("89")
    desk.exchange.fill_limit = Decimal("0.4")

    desk.place()
    second = desk.place()
    third = desk.place()

    assert isinstance(second, SpotOrder)
    assert second.body == Limit(
        qty=Decimal("0.599"), price=Decimal(89), time_in_force=TimeInForce.IOC
    )
    assert isinstance(third, SpotOrder)
    assert third.body == Market(qty=Decimal("0.199"))
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.SL_FILLED


def test_an_exit_of_unknown_outcome_is_placed_again_only_when_it_is_certainly_absent() -> None:
    desk = guarded()
    desk.move("89")
    desk.lose(placed=False)
    assert desk.look_up() == exit_id(1)

    assert desk.step() is None
    desk.conclude(OrderAbsent(client_id=exit_id(1), lookups=3, last_lookup_ms=desk.now_ms))
    assert desk.placed().client_id == exit_id(2)


def test_an_exit_waits_for_a_list_of_unknown_outcome() -> None:
    desk = SpotDesk(buy()).fill()
    desk.lose(placed=False)
    desk.look_up()
    desk.refuse(RefusalReason.WOULD_TRIGGER)

    assert desk.step() is None
    desk.conclude(OrderAbsent(client_id=oco_id(1), lookups=3, last_lookup_ms=desk.now_ms))
    assert desk.placed().client_id == exit_id(1)


def test_a_filled_take_profit_ends_the_entry() -> None:
    desk = armed()
    desk.exchange.take_profit(oco_id(), Decimal("0.999"))
    desk.report(oco_id())

    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert picture.status is EntryStatus.TP_FILLED
    assert picture.closed_qty == Decimal("0.999")
    assert not picture.protected_qty


def test_a_filled_stop_ends_the_entry() -> None:
    desk = armed()
    desk.exchange.fire_stop(oco_id(), Decimal("0.999"))
    desk.report(oco_id())

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.SL_FILLED


def test_the_rest_of_a_partial_take_profit_is_armed_again() -> None:
    desk = armed()
    desk.exchange.take_profit(oco_id(), Decimal("0.4"))
    desk.report(oco_id())

    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.now_ms + 250)
    desk.pass_ms(250)
    assert desk.cancel() == oco_id()
    request = desk.place()
    assert isinstance(request, SpotOco)
    assert (request.client_id, request.qty) == (oco_id(2), Decimal("0.599"))

    desk.exchange.fire_stop(oco_id(2), Decimal("0.599"))
    desk.report(oco_id(2))
    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert picture.status is EntryStatus.SL_FILLED
    assert picture.message == "0.4 by take profit, 0.599 by stop"


def test_a_take_profit_that_fills_in_pieces_needs_no_new_list() -> None:
    desk = armed()
    for qty in ("0.4", "0.599"):
        desk.exchange.take_profit(oco_id(), Decimal(qty))
        desk.report(oco_id())
        assert desk.step() is None

    assert desk.entry.status is EntryStatus.TP_FILLED


def test_a_rest_that_is_too_little_for_a_list_is_dust() -> None:
    desk = armed()
    desk.exchange.take_profit(oco_id(), Decimal("0.959"))
    desk.report(oco_id())
    desk.pass_ms(250)
    desk.cancel()

    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.dust) == (EntryStatus.TP_FILLED, Decimal("0.040"))


def test_the_rest_of_a_stop_that_expires_is_sold_at_market() -> None:
    desk = armed()
    desk.move("85")
    desk.exchange.fire_stop(oco_id(), Decimal("0.4"))
    desk.report(oco_id())

    request = desk.place()
    assert isinstance(request, SpotOrder)
    assert request.body == Market(qty=Decimal("0.599"))
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.SL_FILLED


def test_a_list_that_somebody_cancels_is_armed_again() -> None:
    desk = armed()
    desk.exchange.cancel(oco_id())
    desk.report(oco_id())

    assert desk.placed().client_id == oco_id(2)


def test_a_stop_needs_a_limit_where_the_symbol_has_no_stop_at_market() -> None:
    desk = SpotDesk(buy())
    desk.instrument = replace(INSTRUMENT, order_types=("LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"))

    request = desk.fill().place()

    assert isinstance(request, SpotOco)
    assert request.stop.limit == Decimal("89.10")


def test_what_is_above_the_maximum_is_armed_in_several_lists() -> None:
    desk = SpotDesk(buy("250"))
    desk.exchange.commission_asset = "BNB"
    desk.fill()

    sizes = [getattr(desk.place(), "qty", None) for _ in range(3)]

    assert sizes == [Decimal(100), Decimal(100), Decimal(50)]
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.ARMED


def test_only_what_the_quote_balance_pays_for_is_bought_back() -> None:
    desk = SpotDesk(sell()).fill()
    desk.free_quote = Decimal("55.06")

    request = desk.place()
    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.5")
    desk.free_quote = Decimal("0.06")
    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.message) == (EntryStatus.ARMED, "0.5 not covered yet")

    desk.pass_ms(10_000)
    desk.decide()
    assert desk.entry.alarmed_ms == desk.now_ms


def test_a_disarmed_entry_cancels_its_list_and_leaves_the_rest_to_the_caller() -> None:
    desk = armed()
    desk.request_cancel(disarm=True)

    assert desk.cancel() == oco_id()
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.CANCELED


def test_a_cancel_without_disarm_keeps_the_protection() -> None:
    desk = armed()
    desk.request_cancel(disarm=False)

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.ARMED


def test_a_cancel_is_repeated_until_its_effect_is_seen() -> None:
    desk = armed()
    desk.request_cancel(disarm=True)
    step = desk.step()
    assert isinstance(step, Cancel)
    desk.conclude(CancelRequested(client_id=step.client_id, signed_at_ms=desk.now_ms))

    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.now_ms + 2_000)
    desk.pass_ms(2_000)
    assert desk.step() == step


def test_an_alarm_comes_ten_seconds_after_the_first_trade_without_protection() -> None:
    desk = SpotDesk(buy()).fill()
    filled_ms = desk.now_ms
    desk.pass_ms(100)
    desk.lose(placed=False)
    desk.pass_ms(9_899)
    assert isinstance(desk.step(), LookUp)
    assert not desk.entry.alarmed_ms

    desk.pass_ms(1)
    desk.decide()
    assert desk.entry.alarmed_ms == filled_ms + 10_000
    desk.pass_ms(60_000)
    desk.decide()
    assert desk.entry.alarmed_ms == filled_ms + 10_000
    assert desk.entry.status is EntryStatus.UNPROTECTED


def test_orders_are_placed_where_the_rules_of_the_symbol_are_not_known() -> None:
    desk = SpotDesk(buy())
    desk.instrument = None

    request = desk.fill().place()

    assert isinstance(request, SpotOco)
    assert request.qty == Decimal("0.999")


def test_a_fill_that_is_too_little_for_any_exit_fails_and_names_the_dust() -> None:
    desk = SpotDesk(buy())
    desk.exchange.fill_limit = Decimal("0.02")
    desk.fill()

    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.dust) == (EntryStatus.FAILED, Decimal("0.01998"))


def test_the_same_situation_gives_the_same_steps_and_a_recorded_picture_is_not_repeated() -> None:
    desk = armed()
    before = desk.entry.version

    desk.decide()
    desk.decide()

    assert desk.entry.version == before


def test_a_triggered_stop_whose_limit_the_price_has_passed_is_sold_at_market() -> None:
    desk = SpotDesk(buy())
    desk.instrument = replace(INSTRUMENT, order_types=("LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"))
    desk.fill().place()
    desk.move("80")
    desk.exchange.trigger_stop(oco_id())
    desk.report(oco_id())

    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.now_ms + 2_000)
    desk.pass_ms(2_000)
    assert desk.cancel() == oco_id()
    request = desk.place()
    assert isinstance(request, SpotOrder)
    assert request.body == Market(qty=Decimal("0.999"))
    assert desk.step() is None
    assert desk.entry.status is EntryStatus.SL_FILLED


def test_a_list_that_is_rejected_after_its_acknowledgement_makes_a_guard() -> None:
    desk = armed()
    desk.exchange.reject(oco_id())
    desk.report(oco_id())

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.GUARD


def test_a_refusal_for_want_of_balance_is_tried_again_before_it_makes_a_guard() -> None:
    desk = SpotDesk(buy()).fill()
    for _ in range(4):
        desk.refuse(RefusalReason.BALANCE)
        desk.pass_ms(2_000)

    assert desk.step() is None
    assert desk.entry.status is EntryStatus.GUARD


def test_a_rate_limit_is_waited_for_and_raises_the_alarm_at_once_if_it_is_long() -> None:
    desk = SpotDesk(buy()).fill()
    desk.held_until_ms = desk.now_ms + 5_000
    decided = desk.decide()
    assert (decided.steps, decided.wake_ms) == ((), desk.held_until_ms)
    assert not desk.entry.alarmed_ms

    desk.held_until_ms = desk.now_ms + 60_000
    assert desk.step() is None
    assert desk.entry.alarmed_ms == desk.now_ms
    desk.pass_ms(60_000)
    assert isinstance(desk.place(), SpotOco)


def test_an_entry_that_was_ended_twice_has_failed() -> None:
    desk = armed()
    second = desk.exchange.lists[oco_id()].request
    desk.exchange.take_profit(oco_id(), second.qty)
    desk.report(oco_id())
    surplus = oco_request(desk.spec, oco_id(2), ENTRY_ID, second.qty, None)
    desk.plan(surplus)
    desk.exchange.place(surplus)
    desk.exchange.fire_stop(oco_id(2), second.qty)
    desk.report(oco_id(2))

    assert desk.step() is None
    picture = desk.entry.picture
    assert picture is not None
    assert (picture.status, picture.message) == (
        EntryStatus.FAILED,
        "0.998 more was closed than filled",
    )
