"""Conditional orders of the futures: refusals, triggers, children, and how they end."""

from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.matching.events import AlgoEvent, OrderEvent
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from tests.fakes.perp_bench import QTY, SYMBOL, PerpBench, new_algo


def refused(bench: PerpBench, side: str, away: int, kind: str = "STOP_MARKET", **f: object) -> int:
    with pytest.raises(BinanceError) as caught:
        bench.place_algo(side, away, kind, **f)
    return caught.value.code


def long_with_stop(**fields: object) -> PerpBench:
    bench = PerpBench()
    bench.place("BUY")
    values = {"client_id": "stop", "reduce_only": True} | fields
    bench.place_algo("SELL", -100, "STOP_MARKET", **values)
    return bench


def story(bench: PerpBench) -> list[str]:
    """The states that events of algo orders and orders tell, in their order."""
    told = []
    for event in bench.events:
        if isinstance(event, AlgoEvent):
            told.append(f"algo {event.algo.status}")
        elif isinstance(event, OrderEvent):
            told.append(f"{event.execution} {event.order.status}")
    return told


def test_a_triggered_stop_becomes_an_order_linked_both_ways() -> None:
    bench = long_with_stop()

    bench.move_by(-150)

    algo = bench.desk.find_algo(client_id="stop")
    child = bench.desk.find(SYMBOL, order_id=algo.child_id)
    assert (algo.status, algo.child_type, algo.child_qty) == ("FINISHED", "MARKET", QTY)
    assert (child.algo_id, child.client_id, child.status) == (algo.algo_id, "stop", "FILLED")
    assert (child.orig_type, child.stop_price) == ("STOP_MARKET", algo.trigger)
    assert algo.child_price == child.avg_price
    assert bench.position() is None
    assert bench.desk.trades(SYMBOL)[-1].order_id == child.order_id


def test_an_algo_order_is_never_found_among_orders() -> None:
    bench = long_with_stop()
    algo = bench.desk.find_algo(client_id="stop")

    for reference in ({"order_id": algo.algo_id}, {"client_id": "stop"}):
        with pytest.raises(BinanceError) as caught:
            bench.desk.find(SYMBOL, **reference)
        assert caught.value.code == -2013
        with pytest.raises(BinanceError) as caught:
            bench.desk.cancel(SYMBOL, **reference)
        assert caught.value.code == -2011
    assert not bench.desk.open_orders()


@pytest.mark.parametrize("algo_first", [True, False])
def test_the_events_of_algo_order_and_child_come_in_either_order(algo_first: bool) -> None:
    bench = long_with_stop()
    bench.events.clear()
    bench.behave(algo_event_first=algo_first)

    bench.move_by(-150)

    child = ["NEW NEW", "TRADE FILLED"]
    triggered, finished = ["algo TRIGGERED"], ["algo FINISHED"]
    told = triggered + child if algo_first else child + triggered
    assert story(bench) == ["algo TRIGGERING", *told, *finished]


def test_the_child_may_have_an_id_of_the_exchange() -> None:
    bench = long_with_stop()
    bench.behave(child_takes_client_id=False)

    bench.move_by(-150)

    child = bench.desk.find(SYMBOL, order_id=bench.desk.find_algo(client_id="stop").child_id)
    assert child.client_id != "stop"


@pytest.mark.parametrize(
    ("side", "kind", "away", "change"),
    [
        ("SELL", "STOP_MARKET", -100, -150),
        ("BUY", "STOP_MARKET", 100, 150),
        ("SELL", "TAKE_PROFIT_MARKET", 100, 150),
        ("BUY", "TAKE_PROFIT_MARKET", -100, -150),
    ],
)
def test_a_trigger_is_crossed_from_its_own_side(
    side: str, kind: str, away: int, change: int
) -> None:
    bench = PerpBench()
    algo = bench.place_algo(side, away, kind)

    bench.move_by(-change // 3)
    assert bench.algo(algo).status == "NEW"
    assert refused(bench, side, -away, kind) == -2021
    bench.move_by(change // 3 + change)
    assert bench.algo(algo).status == "FINISHED"


def test_a_limit_stop_rests_at_its_price() -> None:
    bench = PerpBench()
    bench.place("BUY")
    price = bench.bid - 50
    algo = bench.place_algo("SELL", -100, "STOP", price=price, reduce_only=True)

    bench.move_by(-150)
    assert bench.algo(algo).status == "TRIGGERED"
    (resting,) = bench.desk.open_orders()
    assert (resting.type, resting.price, resting.status) == ("LIMIT", price, "NEW")
    bench.desk.cancel(SYMBOL, order_id=resting.order_id)

    assert bench.algo(algo).status == "FINISHED"
    assert bench.algo(algo).child_qty == 0


def test_mark_price_triggers_apart_from_the_last_trade() -> None:
    """The last trade is at the bid or the ask, and the mark price is between them."""
    bench = PerpBench()
    above = bench.ask + 100
    by_trade = bench.desk.place_algo(new_algo("BUY", "STOP_MARKET", above))
    by_mark = bench.desk.place_algo(
        new_algo("BUY", "STOP_MARKET", above, working_type="MARK_PRICE")
    )

    bench.move_to(above)
    assert bench.ask == above

    assert bench.algo(by_trade).status == "FINISHED"
    assert bench.algo(by_mark).status == "NEW"
    bench.move_by(50)
    assert bench.algo(by_mark).status == "FINISHED"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (-1116, {"kind": "LIMIT"}),
        (-1117, {"side": "sell"}),
        (-4015, {"client_id": "x" * 40}),
        (-1102, {"qty": None}),
        (-1102, {"trigger": None}),
        (-1102, {"kind": "STOP"}),
        (-1106, {"price": Decimal(67_000)}),
        (-1115, {"time_in_force": "GTE"}),
        (-1130, {"working_type": "INDEX_PRICE"}),
        (-4005, {"qty": Decimal(121)}),
        (-1111, {"qty": Decimal("0.0001")}),
        (-4164, {"qty": Decimal("0.001")}),
        (-4006, {"trigger": Decimal(-1)}),
        (-4014, {"kind": "STOP", "price": Decimal("67000.05")}),
        (-4061, {"position_side": "SHORT"}),
        (-4509, {"close_position": True, "qty": None}),
        (-4137, {"close_position": True}),
        (-4136, {"close_position": True, "qty": None, "kind": "STOP", "price": Decimal(67_000)}),
        (-1106, {"close_position": True, "qty": None, "reduce_only": True}),
    ],
)
def test_what_binance_refuses_has_its_code_and_leaves_no_record(
    code: int, fields: dict[str, object]
) -> None:
    bench = PerpBench()
    values = {"side": "SELL", "kind": "STOP_MARKET", "trigger": bench.bid - 100} | fields

    with pytest.raises(BinanceError) as caught:
        bench.desk.place_algo(new_algo(**values))  # type: ignore[arg-type]

    assert caught.value.code == code
    assert not bench.desk.every_algo()


def test_a_trigger_off_the_tick_is_accepted() -> None:
    """Seen on the testnet."""
    bench = PerpBench()

    algo = bench.desk.place_algo(new_algo("SELL", "STOP_MARKET", bench.bid - Decimal("99.96")))

    assert algo.status == "NEW"


def test_two_hundred_conditional_orders_are_the_most() -> None:
    bench = PerpBench()
    for _ in range(200):
        bench.place_algo("SELL", -100)

    assert refused(bench, "SELL", -100) == -4045
    assert len(bench.desk.cancel_all_algos(SYMBOL)) == 200
    bench.place_algo("SELL", -100)


def test_the_code_of_a_duplicate_id_is_a_setting_and_ids_are_free_again() -> None:
    bench = long_with_stop()

    assert refused(bench, "SELL", -100, client_id="stop") == -4116
    bench.behave(duplicate_algo_code=-4045)
    assert refused(bench, "SELL", -100, client_id="stop") == -4045
    bench.desk.cancel_algo(client_id="stop")
    bench.place_algo("SELL", -100, client_id="stop")


def test_one_close_position_for_each_direction_and_class() -> None:
    bench = PerpBench()
    bench.place("BUY")
    closing: dict[str, object] = {"close_position": True, "qty": None}
    bench.place_algo("SELL", -100, "STOP_MARKET", **closing)

    assert refused(bench, "SELL", -90, "STOP_MARKET", **closing) == -4130
    bench.place_algo("SELL", 100, "TAKE_PROFIT_MARKET", **closing)
    bench.place_algo("SELL", -90, reduce_only=True)
    bench.place("BUY")
    bench.move_by(-95)
    bench.move_by(-100)

    assert bench.position() is None
    assert [each.status for each in bench.desk.every_algo()] == ["FINISHED", "EXPIRED", "FINISHED"]


def test_a_quantity_stop_outlives_the_position_and_would_open_the_other_side() -> None:
    bench = long_with_stop(reduce_only=False)
    bench.place("SELL")
    assert bench.desk.find_algo(client_id="stop").status == "NEW"

    bench.move_by(-150)

    assert bench.held() == -QTY


def test_a_reduce_only_stop_expires_after_the_position_closed() -> None:
    bench = long_with_stop()

    bench.place("SELL", reduce_only=True)

    assert bench.desk.find_algo(client_id="stop").status == "EXPIRED"
    assert story(bench)[-1] == "algo EXPIRED"
    assert not bench.desk.open_algos()


def test_a_reduce_only_stop_that_stays_open_is_rejected_when_it_triggers() -> None:
    bench = long_with_stop()
    bench.behave(reduce_only_algos_expire=False)
    bench.place("SELL", reduce_only=True)
    assert bench.desk.find_algo(client_id="stop").status == "NEW"

    bench.move_by(-150)

    algo = bench.desk.find_algo(client_id="stop")
    assert (algo.status, algo.child_id) == ("REJECTED", 0)
    assert algo.reason == "ReduceOnly Order is rejected."
    assert bench.position() is None


def test_margin_is_checked_when_it_triggers() -> None:
    bench = PerpBench(usdt="100")
    algo = bench.place_algo("SELL", -100, qty=Decimal(1))

    bench.move_by(-150)

    assert (bench.algo(algo).status, bench.algo(algo).reason) == (
        "REJECTED",
        "Margin is insufficient.",
    )


def test_a_cancel_after_the_trigger_is_an_unknown_order() -> None:
    bench = long_with_stop()
    bench.move_by(-150)

    with pytest.raises(BinanceError) as caught:
        bench.desk.cancel_algo(client_id="stop")

    assert caught.value.code == -2011


def test_the_child_of_a_reduce_only_stop_is_cut_to_the_position() -> None:
    bench = long_with_stop(qty=Decimal(1))

    bench.move_by(-150)

    assert bench.desk.find_algo(client_id="stop").child_qty == QTY
    assert bench.position() is None


def test_a_triggered_market_stop_may_expire_at_the_price_filter() -> None:
    bench = long_with_stop()
    bench.behave(price_range=Decimal("-0.01"))

    bench.move_by(-150)

    algo = bench.desk.find_algo(client_id="stop")
    assert (algo.status, algo.child_qty) == ("FINISHED", Decimal(0))
    assert bench.held() == QTY


def test_hedge_mode_arms_a_stop_before_the_position_exists() -> None:
    bench = PerpBench()
    bench.desk.change_hedge_mode(hedge_mode=True)

    stop = bench.place_algo("SELL", -100, position_side="LONG")
    bench.place("BUY", position_side="LONG")
    assert refused(bench, "SELL", -100, position_side="LONG", reduce_only=True) == -1106
    bench.move_by(-150)

    assert bench.algo(stop).status == "FINISHED"
    assert bench.held("LONG") == 0
