"""Whatever happens on a futures desk, its books add up."""

from collections import defaultdict
from contextlib import suppress
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.matching.events import AccountEvent, AlgoEvent, OrderEvent
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from tests.fakes.perp_bench import HOUR_MS, START_MS, SYMBOL, PerpBench, new_algo, new_order

SIDES = st.sampled_from(["BUY", "SELL"])
POSITION_SIDES = st.sampled_from([None, "LONG", "SHORT"])
QUANTITIES = st.sampled_from(["0.002", "0.01", "0.9"])
IDS = st.sampled_from(["", "a", "b"])
AWAY = st.integers(-40, 40)
REDUCE_ONLY = st.sampled_from([None, True])
CONDITIONAL = st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP", "TAKE_PROFIT"])
TIMES = st.sampled_from(["GTC", "IOC", "FOK", "GTX"])
STEPS = st.one_of(
    st.tuples(st.just("market"), SIDES, POSITION_SIDES, QUANTITIES, IDS, REDUCE_ONLY),
    st.tuples(st.just("limit"), SIDES, POSITION_SIDES, QUANTITIES, IDS, REDUCE_ONLY, AWAY, TIMES),
    st.tuples(
        st.just("algo"), SIDES, POSITION_SIDES, QUANTITIES, IDS, REDUCE_ONLY, AWAY, CONDITIONAL
    ),
    st.tuples(st.just("cancel"), IDS),
    st.tuples(st.just("cancel algo"), IDS),
    st.tuples(st.just("move"), AWAY),
    st.tuples(st.just("wait"), st.integers(1, 10)),
    st.tuples(
        st.just("behave"),
        st.fixed_dictionaries(
            {
                "liquidity": st.sampled_from([Decimal(0), Decimal("0.0001"), Decimal(1)]),
                "algo_event_first": st.booleans(),
                "gtx_expires": st.booleans(),
                "pays_in_bnb": st.booleans(),
                "reduce_only_algos_expire": st.booleans(),
            }
        ),
    ),
)


def perform(bench: PerpBench, step: tuple[object, ...]) -> None:
    match step:
        case ("market" | "limit" | "algo", str(side), held, str(qty), str(client_id), only, *rest):
            fields: dict[str, object] = {"qty": Decimal(qty), "client_id": client_id}
            fields |= {"position_side": held, "reduce_only": only}
            place(bench, side, fields, rest)
        case ("cancel", str(client_id)):
            bench.desk.cancel(SYMBOL, client_id=client_id)
        case ("cancel algo", str(client_id)):
            bench.desk.cancel_algo(client_id=client_id)
        case ("move", int(away)):
            bench.move_by(away)
        case ("wait", int(hours)):
            bench.now_ms += hours * HOUR_MS
            bench.desk.advance()
        case ("behave", dict(fields)):
            bench.behave(**fields)
        case _:
            raise AssertionError(step)


def place(bench: PerpBench, side: str, fields: dict[str, object], rest: list[object]) -> None:
    match rest:
        case [int(away), "GTC" | "IOC" | "FOK" | "GTX" as time_in_force]:
            fields |= {"price": bench.bid + away, "time_in_force": time_in_force}
            bench.desk.place(new_order(side, "LIMIT", **fields))
        case [int(away), str(kind)]:
            price = None if kind.endswith("MARKET") else bench.bid + away
            bench.desk.place_algo(new_algo(side, kind, bench.bid + away, price=price, **fields))
        case _:
            bench.desk.place(new_order(side, "MARKET", **fields))


def assert_books_add_up(bench: PerpBench) -> None:
    desk = bench.desk
    orders = {order.order_id: order for order in desk.every_order()}
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    filled: defaultdict[int, Decimal] = defaultdict(Decimal)
    wallet = {"USDT": Decimal(100_000), "BNB": Decimal("0.01")}
    for trade in desk.every_trade():
        held[trade.position_side] += trade.qty if trade.side == "BUY" else -trade.qty
        filled[trade.order_id] += trade.qty
        wallet["USDT"] += trade.realized
        wallet[trade.commission_asset] -= trade.commission
    for fee in bench.funding.fees(START_MS, bench.now_ms, None, 0):
        wallet[fee.asset] += fee.amount

    assert filled.keys() <= orders.keys()
    assert {side: qty for side, qty in held.items() if qty} == {
        each.side: each.qty for each in desk.positions()
    }
    assert {each.asset: each.free for each in desk.balances()} == wallet
    for order in orders.values():
        assert order.filled_qty == filled[order.order_id] <= order.qty
        assert (order.status == "FILLED") == (order.filled_qty == order.qty)
    assert_ids_hold(bench)


def assert_ids_hold(bench: PerpBench) -> None:
    """Client ids are unique among open orders, and links of algo orders lead both ways."""
    desk = bench.desk
    orders = {order.order_id: order for order in desk.every_order()}
    open_ids = [each.client_id for each in orders.values() if each.is_open and not each.algo_id]
    assert len(open_ids) == len(set(open_ids))
    algos = {algo.algo_id: algo for algo in desk.every_algo()}
    open_algo_ids = [each.client_id for each in algos.values() if each.is_open]
    assert len(open_algo_ids) == len(set(open_algo_ids))
    children = {order.algo_id: order for order in orders.values() if order.algo_id}
    assert {algo_id for algo_id, algo in algos.items() if algo.child_id} == children.keys()
    for algo_id, child in children.items():
        algo = algos[algo_id]
        assert (algo.child_id, algo.child_qty) == (child.order_id, child.filled_qty)
        assert (algo.status == "FINISHED") == (not child.is_open)


def assert_events_tell_the_books(bench: PerpBench) -> None:
    """The last event of each record has what the books have."""
    orders = {event.order.order_id: event.order for event in bench.seen(OrderEvent)}
    assert orders == {order.order_id: order for order in bench.desk.every_order()}
    statuses = {event.algo.algo_id: event.algo.status for event in bench.seen(AlgoEvent)}
    assert statuses == {algo.algo_id: algo.status for algo in bench.desk.every_algo()}
    trades = [event.trade for event in bench.seen(OrderEvent) if event.trade is not None]
    assert trades == bench.desk.every_trade()
    told = {each.asset: each.free for event in bench.seen(AccountEvent) for each in event.balances}
    balances = {each.asset: each.free for each in bench.desk.balances()}
    assert told == {asset: balances[asset] for asset in told}


@given(st.booleans(), st.lists(STEPS, max_size=20))
def test_trades_explain_positions_and_wallet(hedge: bool, steps: list[tuple[object, ...]]) -> None:
    bench = PerpBench(usdt="100000")
    bench.desk.set_balance("BNB", Decimal("0.01"))
    if hedge:
        bench.desk.change_hedge_mode(hedge_mode=True)

    for step in steps:
        with suppress(BinanceError):
            perform(bench, step)
        assert_books_add_up(bench)
    assert_events_tell_the_books(bench)
