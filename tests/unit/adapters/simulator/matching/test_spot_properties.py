"""Whatever happens on a spot desk, its books add up."""

from collections import Counter
from contextlib import suppress
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.matching.behaviour import MatchingBehaviour
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from tests.fakes.spot_bench import (
    SYMBOL,
    TICK,
    SpotBench,
    new_order,
    sell_oco,
)

SIDES = st.sampled_from(["BUY", "SELL"])
TYPES = st.sampled_from(
    [
        "LIMIT",
        "LIMIT_MAKER",
        "MARKET",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    ]
)
TICKS = st.integers(-40, 40)
QUANTITIES = st.sampled_from(["0.001", "0.01", "0.9", "5"])
FORCES = st.sampled_from(["GTC", "IOC", "FOK"])
IDS = st.sampled_from(["", "a", "b"])
STEPS = st.one_of(
    st.tuples(st.just("place"), SIDES, TYPES, TICKS, QUANTITIES, IDS, FORCES),
    st.tuples(st.just("by quote"), SIDES, st.sampled_from(["50", "99999.99"])),
    st.tuples(st.just("oco"), st.integers(1, 40), IDS),
    st.tuples(st.just("cancel"), IDS),
    st.tuples(st.just("cancel all")),
    st.tuples(st.just("move"), st.integers(1, 300)),
    st.tuples(st.just("price"), st.integers(-2000, 2000)),
    st.tuples(st.just("liquidity"), st.sampled_from(["0", "0.01", "1"]), st.booleans()),
)


def perform(bench: SpotBench, step: tuple[object, ...]) -> None:
    match step:
        case ("place", str(side), str(kind), int(ticks), str(qty), str(client_id), force):
            price = bench.bid + ticks * TICK
            fields: dict[str, object] = {"qty": Decimal(qty), "client_id": client_id}
            if "LIMIT" in kind:
                fields["price"] = price
            if kind == "LIMIT" or kind.endswith("_LIMIT"):
                fields["time_in_force"] = force
            if kind.startswith(("STOP", "TAKE")):
                fields["stop_price"] = price
            bench.desk.place(new_order(side, kind, **fields))
        case ("by quote", str(side), str(quote)):
            bench.desk.place(new_order(side, "MARKET", qty=None, quote_qty=Decimal(quote)))
        case ("oco", int(ticks), str(client_id)):
            bench.desk.place_oco(sell_oco(bench, ticks * TICK, client_id or "c"))
        case ("cancel", str(client_id)):
            bench.desk.cancel(SYMBOL, client_id=client_id)
        case ("cancel all",):
            bench.desk.cancel_all(SYMBOL)
        case _:
            disturb(bench, step)


def disturb(bench: SpotBench, step: tuple[object, ...]) -> None:
    match step:
        case ("move", int(books)):
            bench.move(books)
        case ("price", int(ticks)):
            bench.market.move_price(bench.market.last_trade[0] + ticks)
            bench.desk.advance()
        case ("liquidity", str(share), bool(bnb)):
            bench.behaviour.value = MatchingBehaviour(liquidity=Decimal(share), pays_in_bnb=bnb)
        case _:
            raise AssertionError(step)


def assert_books_add_up(bench: SpotBench) -> None:
    orders, trades = bench.desk.orders.all(), bench.desk.orders.trades()
    expected = {"USDT": Decimal(1_000_000), "BTC": Decimal(10), "BNB": Decimal(1)}
    filled: Counter[int] = Counter()
    for trade in trades:
        sign = 1 if trade.side == "BUY" else -1
        expected["BTC"] += sign * trade.qty
        expected["USDT"] -= sign * trade.qty * trade.price
        expected[trade.commission_asset] -= trade.commission
        filled[trade.order_id] += trade.qty  # type: ignore[assignment]  # exact in Decimal
    balances = {each.asset: each for each in bench.desk.balances()}
    assert {asset: each.free + each.locked for asset, each in balances.items()} == expected
    assert all(each.free >= 0 and each.locked >= 0 for each in balances.values())
    for order in orders:
        assert order.filled_qty == filled[order.order_id] <= order.qty
        assert (order.status == "FILLED") == (order.filled_qty == order.qty)
    open_ids = [order.client_id for order in orders if order.is_open]
    assert len(open_ids) == len(set(open_ids))
    if not open_ids:
        assert all(each.locked == 0 for each in balances.values())


@given(st.lists(STEPS, max_size=25))
def test_trades_explain_the_balances(steps: list[tuple[object, ...]]) -> None:
    """No order fills beyond its quantity; no two open orders share a client id."""
    bench = SpotBench()
    bench.desk.wallet.add("BNB", Decimal(1))

    for step in steps:
        with suppress(BinanceError):
            perform(bench, step)
        assert_books_add_up(bench)
