"""The matcher alone: price, time, liquidity and the ends of orders."""

from decimal import Decimal

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour, MatchingBehaviour
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.records import Order, Trade
from chimera_s1.domain.identifiers import Venue

START_MS = 1_790_000_000_000
SYMBOL = "BTCUSDT"
STEP = Decimal("0.00001")


class Unlimited:
    """A settlement that never runs out of money."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def executable(self, order: Order, price: Decimal) -> Decimal:
        assert price
        return order.remaining

    def settle(self, order: Order, trade: Trade) -> Trade:
        assert order.order_id == trade.order_id
        return trade

    def order_changed(self, order: Order, execution: str, trade: Trade | None) -> None:
        assert (trade is not None) == (execution == "TRADE")
        self.seen.append((execution, order.status))

    def book_moved(self, symbol: str) -> None:
        assert symbol == SYMBOL


class Bench:
    def __init__(self) -> None:
        self.clock = ScaledClock(lambda: START_MS)
        self.behaviour = CurrentBehaviour()
        market = Market(build_symbols((SYMBOL,)), 1, START_MS)
        found = market.find(Venue.SPOT, SYMBOL)
        assert found is not None
        self.symbol = found
        self.orders = OrderStore(self.clock, self.behaviour)
        self.settlement = Unlimited()
        self.matcher = Matcher(
            Venue.SPOT,
            market,
            self.clock,
            self.orders,
            settlement=self.settlement,
            behaviour=self.behaviour,
        )

    @property
    def ask(self) -> Decimal:
        return Decimal(self.symbol.spec.price(self.symbol.book.ask))

    @property
    def bid(self) -> Decimal:
        return Decimal(self.symbol.spec.price(self.symbol.book.bid))

    @property
    def asked(self) -> Decimal:
        """What the best ask offers."""
        return Decimal(self.symbol.spec.quantity(self.symbol.book.ask_steps))

    def buy(self, qty: Decimal, price: Decimal, time_in_force: str = "GTC") -> Order:
        order_id = self.orders.next_order_id(SYMBOL)
        return Order(
            venue=Venue.SPOT,
            symbol=SYMBOL,
            order_id=order_id,
            client_id=f"c{order_id}",
            side="BUY",
            type="LIMIT" if price else "MARKET",
            status="NEW",
            qty=qty,
            price=price,
            created_ms=START_MS,
            updated_ms=START_MS,
            time_in_force=time_in_force,
        )


def test_a_market_order_takes_level_by_level() -> None:
    bench = Bench()

    order = bench.matcher.enter(bench.buy(bench.asked + STEP, Decimal(0)))

    first, second = bench.orders.trades()
    assert order.status == "FILLED"
    assert (first.price, first.qty) == (bench.ask, bench.asked)
    assert (second.price, second.qty) == (bench.ask + Decimal("0.01"), STEP)


def test_liquidity_comes_back_when_the_book_moves() -> None:
    bench = Bench()
    bench.matcher.enter(bench.buy(bench.asked, bench.ask))

    refused = bench.matcher.enter(bench.buy(STEP, bench.ask, "IOC"))
    bench.symbol.advance()
    bench.matcher.advance(frozenset({SYMBOL}))
    filled = bench.matcher.enter(bench.buy(STEP, bench.ask, "IOC"))

    assert (refused.status, refused.reason) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    assert filled.status == "FILLED"


def test_a_fill_or_kill_order_is_filled_completely_or_not_at_all() -> None:
    bench = Bench()

    killed = bench.matcher.enter(bench.buy(bench.asked + STEP, bench.ask, "FOK"))
    filled = bench.matcher.enter(bench.buy(bench.asked, bench.ask, "FOK"))

    assert (killed.status, killed.filled_qty) == ("EXPIRED", Decimal(0))
    assert filled.status == "FILLED"


def test_a_limit_order_takes_and_its_rest_stays_in_the_book() -> None:
    bench = Bench()

    order = bench.matcher.enter(bench.buy(bench.asked + STEP, bench.ask))

    assert (order.status, order.filled_qty) == ("PARTIALLY_FILLED", bench.asked)
    assert bench.settlement.seen == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED")]


def test_a_market_order_expires_at_the_end_of_its_price_range() -> None:
    bench = Bench()
    bench.behaviour.value = MatchingBehaviour(price_range=Decimal("-0.01"))

    order = bench.matcher.enter(bench.buy(STEP, Decimal(0)))

    assert (order.status, order.reason) == ("EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")


def test_without_liquidity_a_market_order_expires() -> None:
    bench = Bench()
    bench.behaviour.value = MatchingBehaviour(liquidity=Decimal(0))

    order = bench.matcher.enter(bench.buy(STEP, Decimal(0)))

    assert (order.status, order.reason) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")


def test_resting_orders_are_filled_at_their_own_price_the_better_one_first() -> None:
    bench = Bench()
    bench.behaviour.value = MatchingBehaviour(liquidity=Decimal(0))
    lower = bench.matcher.enter(bench.buy(Decimal(1), bench.bid))
    higher = bench.matcher.enter(bench.buy(Decimal(1), bench.ask))
    bench.behaviour.value = MatchingBehaviour()
    for _ in range(256):
        bench.symbol.advance()
        bench.matcher.advance(frozenset({SYMBOL}))

    trades = bench.orders.trades()
    assert trades[0].order_id == higher.order_id
    assert {(each.order_id, each.price) for each in trades} == {
        (higher.order_id, higher.price),
        (lower.order_id, lower.price),
    }
    assert all(each.maker for each in trades)
