"""Futures orders on the simulator: what is refused, what is filled, and what it costs."""

from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.account.account import InsufficientBalanceError
from chimera_s1.adapters.simulator.account.movements import Origin, TransferType
from chimera_s1.adapters.simulator.matching.events import AccountEvent, ConfigEvent, OrderEvent
from chimera_s1.adapters.simulator.matching.new_orders import NewPerpOrder
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from tests.fakes.perp_bench import QTY, START_MS, SYMBOL, TICK, PerpBench, new_order

FAR = 500


def refused(bench: PerpBench, side: str, kind: str = "MARKET", **fields: object) -> int:
    with pytest.raises(BinanceError) as caught:
        bench.desk.place(new_order(side, kind, **fields))
    return caught.value.code


def rest(bench: PerpBench, side: str = "BUY", away: int = FAR, **fields: object) -> object:
    """An order that the book does not reach."""
    price = bench.bid - away if side == "BUY" else bench.ask + away
    return bench.place(side, "LIMIT", price=price, **fields)


def test_a_reply_is_only_an_acknowledgement() -> None:
    bench = PerpBench()

    accepted = bench.desk.place(new_order("BUY"))

    assert (accepted.status, accepted.filled_qty) == ("NEW", Decimal(0))
    assert bench.order(accepted).status == "FILLED"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (-4120, {"kind": "STOP_MARKET"}),
        (-4120, {"kind": "TRAILING_STOP_MARKET"}),
        (-1116, {"kind": "ICEBERG"}),
        (-1117, {"side": "buy"}),
        (-1102, {"qty": None}),
        (-1102, {"kind": "LIMIT"}),
        (-1115, {"kind": "LIMIT", "price": 67_000, "time_in_force": "GTE"}),
        (-1102, {"kind": "LIMIT", "price": 67_000, "time_in_force": "GTD"}),
        (-1106, {"price": 67_000}),
        (-1106, {"time_in_force": "GTC"}),
        (-1111, {"qty": Decimal("0.0001")}),
        (-1111, {"kind": "LIMIT", "price": Decimal("67000.001")}),
        (-4014, {"kind": "LIMIT", "price": Decimal("67000.05")}),
        (-4003, {"qty": 0}),
        (-4005, {"qty": 121}),
        (-4016, {"kind": "LIMIT", "price": 80_000}),
        (-4024, {"side": "SELL", "kind": "LIMIT", "price": 60_000}),
        (-4164, {"qty": Decimal("0.001")}),
        (-4015, {"client_id": "x" * 37}),
        (-4015, {"client_id": "a b"}),
        (-4061, {"position_side": "LONG"}),
        (-4060, {"position_side": "UP"}),
        (-2022, {"side": "SELL", "reduce_only": True}),
        (-2027, {"qty": 100}),
    ],
)
def test_what_binance_refuses_has_its_code_and_leaves_no_record(
    code: int, fields: dict[str, object]
) -> None:
    bench = PerpBench(usdt="1000000000")
    values = {"side": "BUY", "kind": "MARKET"} | fields
    numbers = {
        name: Decimal(value)
        for name, value in values.items()
        if isinstance(value, int | Decimal) and not isinstance(value, bool)
    }

    assert refused(bench, **(values | numbers)) == code  # type: ignore[arg-type]
    assert not bench.desk.every_order()
    assert not bench.events


def test_market_maximum_is_below_that_of_limit_orders() -> None:
    bench = PerpBench(usdt="100000000")
    bench.desk.change_leverage(SYMBOL, 1)

    assert refused(bench, "BUY", qty=Decimal(121)) == -4005
    rest(bench, qty=Decimal(121))


def test_post_only_is_refused_without_a_record_or_accepted_and_expired() -> None:
    bench = PerpBench()
    taking = {"price": bench.ask, "time_in_force": "GTX", "client_id": "maker"}

    assert refused(bench, "BUY", "LIMIT", **taking) == -5022
    with pytest.raises(BinanceError, match="does not exist"):
        bench.desk.find(SYMBOL, client_id="maker")
    bench.behave(gtx_expires=True)
    assert bench.desk.place(new_order("BUY", "LIMIT", **taking)).status == "NEW"

    assert bench.desk.find(SYMBOL, client_id="maker").status == "EXPIRED"
    assert [event.execution for event in bench.seen(OrderEvent)] == ["NEW", "EXPIRED"]


def test_post_only_rests_and_is_filled_as_a_maker() -> None:
    bench = PerpBench()
    order = bench.place("BUY", "LIMIT", price=bench.bid - 5, time_in_force="GTX")

    bench.move_by(-20)

    (trade,) = bench.desk.trades(SYMBOL)
    assert bench.order(order).status == "FILLED"
    assert (trade.maker, trade.price) == (True, order.price)
    assert trade.commission == trade.price * trade.qty * Decimal("0.0002")


def test_immediate_or_cancel_expires_what_the_book_lacks() -> None:
    bench = PerpBench()
    bench.behave(liquidity=Decimal("0.00001"))

    order = bench.place("BUY", "LIMIT", price=bench.ask, qty=Decimal(1), time_in_force="IOC")

    assert (order.status, order.reason_code) == ("EXPIRED", 2)
    too_much = {"price": bench.ask, "qty": Decimal(2), "time_in_force": "FOK"}
    assert refused(bench, "BUY", "LIMIT", **too_much) == -5021


def test_a_price_filter_expires_a_market_order() -> None:
    bench = PerpBench()
    bench.behave(price_range=Decimal("-0.01"))

    order = bench.place("BUY")

    assert (order.status, order.filled_qty, order.reason_code) == ("EXPIRED", Decimal(0), 9)


def test_good_till_date_expires() -> None:
    bench = PerpBench()
    until_ms = START_MS + 700_000
    rest(bench, time_in_force="GTD", good_till_ms=until_ms, client_id="gtd")

    bench.now_ms = until_ms
    bench.desk.advance()

    assert bench.desk.find(SYMBOL, client_id="gtd").status == "EXPIRED"


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    """Seen on the testnet: two market orders of one id, both filled."""
    bench = PerpBench()

    first, second = bench.place("BUY", client_id="same"), bench.place("BUY", client_id="same")
    rest(bench, client_id="open")

    assert (first.status, second.status) == ("FILLED", "FILLED")
    assert bench.desk.find(SYMBOL, client_id="same").order_id == second.order_id
    assert refused(bench, "BUY", client_id="open") == -4116
    bench.desk.cancel(SYMBOL, client_id="open")
    rest(bench, client_id="open")


def test_a_cancel_of_what_is_not_open_is_an_unknown_order() -> None:
    bench = PerpBench()
    order = bench.place("BUY", client_id="filled")

    with pytest.raises(BinanceError, match="Unknown order sent") as caught:
        bench.desk.cancel(SYMBOL, client_id="filled")

    assert caught.value.code == -2011
    assert bench.desk.find(SYMBOL, order_id=order.order_id).status == "FILLED"


def test_cancel_all_leaves_other_symbols_alone() -> None:
    bench = PerpBench()
    rest(bench)
    rest(bench, "SELL")
    other = NewPerpOrder(
        symbol="ETHUSDT", side="BUY", type="LIMIT", qty=Decimal(1), price=Decimal(3400),
        time_in_force="GTC",
    )  # fmt: skip
    bench.desk.place(other)

    cancelled = bench.desk.cancel_all(SYMBOL)

    assert [each.status for each in cancelled] == ["CANCELED", "CANCELED"]
    assert [each.symbol for each in bench.desk.open_orders()] == ["ETHUSDT"]


def test_reduce_only_is_cut_to_the_position_and_needs_no_minimum() -> None:
    bench = PerpBench()
    bench.place("BUY", qty=QTY)
    bench.place("SELL", qty=Decimal("0.001"), reduce_only=True)

    closing = bench.place("SELL", qty=Decimal(1), reduce_only=True)

    assert (closing.qty, closing.status) == (Decimal("0.009"), "FILLED")
    assert bench.position() is None


def test_reduce_only_orders_expire_with_the_position() -> None:
    bench = PerpBench()
    bench.place("BUY")
    resting = bench.place("SELL", "LIMIT", price=bench.ask + FAR, reduce_only=True)

    bench.place("SELL")

    ended = bench.order(resting)
    assert (ended.status, ended.reason_code) == ("EXPIRED", 4)


def test_a_reversal_realizes_what_it_closed_and_opens_at_its_price() -> None:
    bench = PerpBench()
    bench.place("BUY", qty=Decimal("0.02"))
    entry = bench.position().entry_price  # type: ignore[union-attr]
    bench.move_by(300)

    bench.place("SELL", qty=Decimal("0.05"))

    trade = bench.desk.trades(SYMBOL)[-1]
    position = bench.position()
    assert position is not None
    assert (position.qty, position.entry_price) == (Decimal("-0.03"), trade.price)
    assert trade.realized == (trade.price - entry) * Decimal("0.02")


def test_hedge_mode_holds_both_sides_and_refuses_reduce_only() -> None:
    bench = PerpBench()
    bench.desk.change_hedge_mode(hedge_mode=True)

    bench.place("BUY", position_side="LONG")
    bench.place("SELL", position_side="SHORT", qty=Decimal("0.02"))

    assert (bench.held("LONG"), bench.held("SHORT")) == (QTY, Decimal("-0.02"))
    assert refused(bench, "SELL", position_side="LONG", reduce_only=True) == -1106
    assert refused(bench, "SELL") == -4061
    assert refused(bench, "SELL", position_side="LONG", qty=Decimal(1)) == -2022
    bench.place("SELL", position_side="LONG")
    assert (bench.held("LONG"), bench.held("SHORT")) == (Decimal(0), Decimal("-0.02"))


def test_margin_limits_orders_and_transfers() -> None:
    bench = PerpBench(usdt="1000")
    bench.place("BUY", qty=Decimal("0.2"))  # 13,480 USDT at leverage 20

    assert refused(bench, "BUY", qty=Decimal("0.2")) == -2019
    margin = bench.desk.margin()
    assert margin.wallet == bench.wallet
    with pytest.raises(InsufficientBalanceError):
        bench.account.transfer(TransferType.UMFUTURE_MAIN, Decimal(900), Origin.WALLET)
    bench.account.transfer(TransferType.UMFUTURE_MAIN, Decimal(200), Origin.WALLET)
    bench.place("SELL", qty=Decimal("0.2"), reduce_only=True)


def test_commission_is_taken_in_bnb_while_there_is_enough() -> None:
    bench = PerpBench()
    bench.behave(pays_in_bnb=True)
    bench.desk.set_balance("BNB", Decimal("0.0005"))

    bench.place("BUY", qty=QTY)
    bench.place("BUY", qty=QTY)

    assert [each.commission_asset for each in bench.desk.trades(SYMBOL)] == ["BNB", "USDT"]


def test_symbols_that_do_not_trade_and_unsigned_agreements_are_refused() -> None:
    bench = PerpBench(usdt="100000")

    def refusal(symbol: str) -> int:
        order = NewPerpOrder(symbol=symbol, side="BUY", type="MARKET", qty=Decimal(1))
        with pytest.raises(BinanceError) as caught:
            bench.desk.place(order)
        return caught.value.code

    assert [refusal("OLDUSDT"), refusal("XAUUSDT"), refusal("NONEUSDT")] == [-4140, -4411, -1121]
    bench.desk.sign_tradfi()
    bench.desk.place(NewPerpOrder(symbol="XAUUSDT", side="BUY", type="MARKET", qty=Decimal(1)))


def test_settings_change_only_where_binance_allows_it() -> None:
    bench = PerpBench()
    rest(bench)

    def refusal(change: str, *args: object, **named: bool) -> int:
        with pytest.raises(BinanceError) as caught:
            getattr(bench.desk, f"change_{change}")(*args, **named)
        return caught.value.code

    assert refusal("hedge_mode", hedge_mode=False) == -4059
    assert refusal("hedge_mode", hedge_mode=True) == -4067
    assert refusal("margin_type", SYMBOL, "CROSSED") == -4046
    assert refusal("margin_type", SYMBOL, "ISOLATED") == -4047
    assert refusal("leverage", SYMBOL, 126) == -4028
    bench.desk.cancel_all(SYMBOL)
    bench.place("BUY")
    assert refusal("hedge_mode", hedge_mode=True) == -4068
    assert refusal("margin_type", SYMBOL, "ISOLATED") == -4048
    bench.desk.change_leverage(SYMBOL, 10)
    bench.desk.change_multi_assets(multi_assets=True)
    changes = [(each.symbol, each.leverage, each.multi_assets) for each in bench.seen(ConfigEvent)]
    assert changes == [(SYMBOL, 10, None), ("", 0, True)]


def test_queries_lag_and_the_exchange_s_own_books_do_not() -> None:
    bench = PerpBench()
    bench.behave(query_lag_ms=500)
    order = bench.place("BUY")

    with pytest.raises(BinanceError, match="does not exist"):
        bench.desk.find(SYMBOL, order_id=order.order_id)
    assert not bench.desk.trades(SYMBOL)
    assert bench.desk.every_trade()
    bench.now_ms += 500
    assert bench.desk.find(SYMBOL, order_id=order.order_id).status == "FILLED"


def test_a_fill_announces_the_account_before_the_order() -> None:
    bench = PerpBench()

    bench.place("BUY")

    names = [type(event).__name__ for event in bench.events]
    assert names == ["OrderEvent", "AccountEvent", "OrderEvent"]
    (account,) = bench.seen(AccountEvent)
    assert account.reason == "ORDER"
    assert [each.qty for each in account.positions] == [QTY]
    assert [each.free for each in account.balances] == [bench.wallet]


def test_a_resting_order_is_filled_at_its_own_price_and_once() -> None:
    bench = PerpBench()
    order = bench.place("BUY", "LIMIT", price=bench.bid - 10 * TICK)

    bench.move_by(-50)
    bench.move_by(-50)

    assert [each.price for each in bench.desk.trades(SYMBOL)] == [order.price]
    assert bench.held() == QTY
