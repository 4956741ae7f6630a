"""Spot orders, order lists and balances, without sockets."""

from decimal import Decimal

import msgspec
import pytest

from chimera_s1.adapters.simulator.matching.behaviour import MatchingBehaviour
from chimera_s1.adapters.simulator.matching.events import BalanceEvent, ListEvent, OrderEvent
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from tests.fakes.spot_bench import (
    QTY,
    STEP,
    SYMBOL,
    TICK,
    SpotBench,
    new_order,
    sell_oco,
)

FAR = Decimal(50)
PATH = 256


def test_a_market_buy_is_paid_in_usdt_and_its_commission_in_the_coin() -> None:
    bench = SpotBench()
    price = bench.ask

    order = bench.place("BUY", "MARKET")

    (trade,) = bench.desk.trades(SYMBOL)
    assert (order.status, order.avg_price, trade.maker) == ("FILLED", price, False)
    assert (trade.commission, trade.commission_asset) == (QTY / 1000, "BTC")
    assert bench.balance("USDT").free == 1_000_000 - price * QTY
    assert bench.balance("BTC").free == 10 + QTY - QTY / 1000


def test_commission_is_paid_in_bnb_where_the_wallet_has_enough() -> None:
    bench = SpotBench()
    bench.behaviour.value = MatchingBehaviour(pays_in_bnb=True)

    bench.place("SELL", "MARKET")
    bench.desk.wallet.add("BNB", Decimal(1))
    bench.place("SELL", "MARKET")

    without, paid = bench.desk.trades(SYMBOL)
    assert without.commission_asset == "USDT"
    assert paid.commission_asset == "BNB"
    assert bench.balance("BNB").free == 1 - paid.commission


def test_a_market_order_by_quote_spends_no_more_than_it_says() -> None:
    bench = SpotBench()

    order = bench.place("BUY", "MARKET", qty=None, quote_qty=Decimal(100))

    assert order.status == "FILLED"
    assert order.qty == Decimal(100) / bench.ask // STEP * STEP
    assert 100 - bench.ask * STEP < order.filled_quote <= 100


def test_a_resting_order_locks_its_money_until_it_ends() -> None:
    bench = SpotBench()

    order = bench.place("BUY", "LIMIT", price=bench.bid - FAR)
    locked = bench.balance("USDT")
    cancelled = bench.desk.cancel(SYMBOL, order_id=order.order_id, new_client_id="stop")

    assert (locked.free, locked.locked) == (
        1_000_000 - order.price * QTY,
        order.price * QTY,
    )
    assert (cancelled.status, cancelled.cancel_id) == ("CANCELED", "stop")
    assert bench.balance("USDT").free == 1_000_000
    with pytest.raises(BinanceError, match="Unknown order sent") as refused:
        bench.desk.cancel(SYMBOL, order_id=order.order_id)
    assert refused.value.code == -2011


def test_a_limit_order_that_fills_cheaper_gives_the_rest_of_its_lock_back() -> None:
    bench = SpotBench()
    price = bench.ask

    order = bench.place("BUY", "LIMIT", price=price + FAR)

    assert (order.status, order.avg_price) == ("FILLED", price)
    usdt = bench.balance("USDT")
    assert (usdt.free, usdt.locked) == (1_000_000 - price * QTY, Decimal(0))


def test_client_ids_are_unique_among_open_orders_only() -> None:
    bench = SpotBench()
    first = bench.place("BUY", "LIMIT", price=bench.bid - FAR, client_id="mine")

    with pytest.raises(BinanceError, match="Duplicate order sent") as refused:
        bench.place("BUY", "MARKET", client_id="mine")
    bench.desk.cancel(SYMBOL, client_id="mine")
    second = bench.place("BUY", "MARKET", client_id="mine")

    assert refused.value.code == -2010
    assert second.order_id != first.order_id
    assert bench.desk.find(SYMBOL, client_id="mine") == second


@pytest.mark.parametrize("kind", ["STOP_LOSS", "STOP_LOSS_LIMIT"])
def test_a_stop_waits_for_its_price(kind: str) -> None:
    bench = SpotBench()
    limit = {"price": bench.bid - FAR} if kind == "STOP_LOSS_LIMIT" else {}

    order = bench.place("SELL", kind, stop_price=bench.bid - TICK, **limit)
    assert (order.status, order.is_working) == ("NEW", False)
    bench.move(PATH)

    done = bench.current(order)
    assert (done.status, done.is_working) == ("FILLED", True)
    assert [each.execution for each in bench.events if isinstance(each, OrderEvent)] == [
        "NEW",
        "NEW",
        "TRADE",
    ]


@pytest.mark.parametrize(
    ("side", "kind", "above"),
    [
        ("BUY", "STOP_LOSS", False),
        ("SELL", "STOP_LOSS", True),
        ("BUY", "TAKE_PROFIT", True),
        ("SELL", "TAKE_PROFIT", False),
    ],
)
def test_a_stop_on_the_wrong_side_is_refused(side: str, kind: str, above: bool) -> None:
    bench = SpotBench()
    stop = bench.ask + FAR if above else bench.bid - FAR

    with pytest.raises(BinanceError, match="Order would trigger immediately") as refused:
        bench.place(side, kind, stop_price=stop)

    assert refused.value.code == -2010


def test_a_filled_leg_expires_the_other_and_ends_the_list() -> None:
    bench = SpotBench()
    placed = bench.desk.place_oco(sell_oco(bench, 2 * TICK))
    locked = bench.balance("BTC").locked
    bench.move(PATH)

    legs = bench.desk.legs(placed)
    found = bench.desk.find_list(client_id="list")
    assert locked == QTY
    assert {leg.status for leg in legs} == {"FILLED", "EXPIRED"}
    assert next(leg.reason for leg in legs if leg.status == "EXPIRED") == "OCO_TRIGGER"
    assert (found.status_type, found.status) == ("ALL_DONE", "ALL_DONE")
    assert bench.balance("BTC").locked == 0
    assert sum(trade.qty for trade in bench.desk.trades(SYMBOL)) == QTY


def test_a_partial_fill_of_a_leg_expires_the_other_and_the_list_goes_on() -> None:
    bench = SpotBench()
    oco = sell_oco(bench, 2 * TICK)
    bench.behaviour.value = MatchingBehaviour(liquidity=Decimal("0.001"))
    placed = bench.desk.place_oco(msgspec.structs.replace(oco, qty=Decimal(5)))
    profit = bench.desk.legs(placed)[1]
    while not bench.current(profit).filled_qty:
        bench.move()
        if bench.desk.legs(placed)[0].is_working:
            pytest.fail("the stop triggered before the take profit")

    below, above = bench.desk.legs(placed)
    assert (below.status, above.status) == ("EXPIRED", "PARTIALLY_FILLED")
    assert bench.desk.open_lists() == [placed]
    assert bench.balance("BTC").locked == above.remaining


def test_canceling_a_leg_cancels_the_list() -> None:
    bench = SpotBench()
    placed = bench.desk.place_oco(sell_oco(bench, FAR))

    bench.desk.cancel(SYMBOL, client_id="list-tp")

    assert [leg.status for leg in bench.desk.legs(placed)] == ["CANCELED", "CANCELED"]
    assert bench.desk.open_lists() == []
    assert bench.balance("BTC").free == 10
    kinds = [type(event) for event in bench.events]
    assert kinds[0] is ListEvent
    assert kinds.index(BalanceEvent) > 0


def test_all_orders_of_a_symbol_are_canceled_with_their_lists() -> None:
    bench = SpotBench()
    placed = bench.desk.place_oco(sell_oco(bench, FAR))
    single = bench.place("BUY", "LIMIT", price=bench.bid - FAR)

    orders, lists = bench.desk.cancel_all(SYMBOL)

    ids = {order_id for order_id, _ in placed.legs} | {single.order_id}
    assert {order.order_id for order in orders} == ids
    assert {order.status for order in orders} == {"CANCELED"}
    assert [each.status for each in lists] == ["ALL_DONE"]


def test_queries_lag_behind_the_matching_engine() -> None:
    bench = SpotBench()
    bench.behaviour.value = MatchingBehaviour(query_lag_ms=500)
    order = bench.place("BUY", "MARKET")

    with pytest.raises(BinanceError, match="Order does not exist") as refused:
        bench.desk.find(SYMBOL, order_id=order.order_id)
    trades = bench.desk.trades(SYMBOL)
    bench.now_ms += 500

    assert (refused.value.code, trades) == (-2013, [])
    assert bench.desk.find(SYMBOL, order_id=order.order_id).status == "FILLED"
    assert len(bench.desk.trades(SYMBOL)) == 1


REFUSALS = [
    ("BUY", "LIMIT", {"price": Decimal("60000.001")}, -1013, "Filter failure: PRICE_FILTER"),
    ("BUY", "LIMIT", {"price": Decimal(1)}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ("BUY", "MARKET", {"qty": Decimal("0.000015")}, -1013, "Filter failure: LOT_SIZE"),
    ("BUY", "MARKET", {"qty": Decimal(901)}, -1013, "Filter failure: MARKET_LOT_SIZE"),
    ("BUY", "MARKET", {"qty": STEP}, -1013, "Filter failure: NOTIONAL"),
    ("BUY", "MARKET", {"qty": Decimal("0.0000000001")}, -1111, "too much precision"),
    ("BUY", "MARKET", {"qty": Decimal(0)}, -1013, "Invalid quantity"),
    ("BUY", "MARKET", {"qty": None}, -1102, "'quantity' or 'quoteOrderQty'"),
    ("BUY", "LIMIT", {}, -1102, "'price'"),
    ("BUY", "LIMIT_MAKER", {"price": Decimal(60000), "time_in_force": "GTC"}, -1106, "timeInF"),
    ("BUY", "LIMIT", {"price": Decimal(60000), "time_in_force": "GTX"}, -1115, "timeInForce"),
    ("BUY", "TRAILING", {}, -1116, "Invalid orderType"),
    ("HOLD", "MARKET", {}, -1117, "Invalid side"),
    ("SELL", "MARKET", {"qty": Decimal(11)}, -2010, "insufficient balance"),
    ("BUY", "LIMIT_MAKER", {"price": Decimal(90000)}, -2010, "immediately match and take"),
]


@pytest.mark.parametrize(("side", "kind", "fields", "code", "words"), REFUSALS)
def test_an_order_is_refused_in_binances_codes(
    side: str, kind: str, fields: dict[str, object], code: int, words: str
) -> None:
    bench = SpotBench()

    with pytest.raises(BinanceError, match=words) as refused:
        bench.place(side, kind, **fields)

    assert refused.value.code == code
    assert bench.desk.orders.all() == []


def test_a_symbol_that_is_not_listed_or_not_trading_is_refused() -> None:
    bench = SpotBench()

    with pytest.raises(BinanceError, match=r"Invalid symbol\.") as unknown:
        bench.desk.place(msgspec.structs.replace(new_order("BUY", "MARKET"), symbol="NONE"))
    with pytest.raises(BinanceError, match=r"Market is closed\.") as closed:
        bench.desk.place(msgspec.structs.replace(new_order("BUY", "MARKET"), symbol="LUNCUSDT"))

    assert (unknown.value.code, closed.value.code) == (-1121, -1013)


def test_the_sixth_stop_of_a_symbol_is_refused() -> None:
    bench = SpotBench()
    for _ in range(5):
        bench.place("SELL", "STOP_LOSS", stop_price=bench.bid - FAR)

    with pytest.raises(BinanceError, match="MAX_NUM_ALGO_ORDERS"):
        bench.place("SELL", "STOP_LOSS", stop_price=bench.bid - FAR)


def test_an_oco_with_its_legs_on_the_wrong_sides_is_refused() -> None:
    bench = SpotBench()
    oco = sell_oco(bench, FAR)

    with pytest.raises(BinanceError, match="must be above") as swapped:
        bench.desk.place_oco(msgspec.structs.replace(oco, above=oco.below, below=oco.above))
    with pytest.raises(BinanceError, match="relationship of the prices") as crossed:
        bench.desk.place_oco(
            msgspec.structs.replace(
                oco, below=msgspec.structs.replace(oco.below, stop_price=bench.ask + FAR)
            )
        )

    assert (swapped.value.code, crossed.value.code) == (-1166, -2010)
