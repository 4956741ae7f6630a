"""A futures desk in process, on a clock that stands still."""

from decimal import Decimal
from typing import TypeVar

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import Movement, WalletName
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.income import FundingIncome
from chimera_s1.adapters.simulator.funding.positions import Positions
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour, MatchingBehaviour
from chimera_s1.adapters.simulator.matching.events import PerpEvent
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Order, Position
from chimera_s1.domain.identifiers import Venue

START_MS = 1_790_000_000_000
SYMBOL = "BTCUSDT"
TICK = Decimal("0.1")
QTY = Decimal("0.01")
HOUR_MS = 3_600_000
Event = TypeVar("Event", bound=PerpEvent)


class PerpBench:
    def __init__(self, usdt: str = "1000000", funded: Positions | None = None) -> None:
        self.now_ms = START_MS
        clock = ScaledClock(lambda: self.now_ms)
        self.markets = Market(build_symbols((SYMBOL, "ETHUSDT", "BNBUSDT")), 1, START_MS)
        found = self.markets.find(Venue.PERP, SYMBOL)
        assert found is not None
        self.market = found
        balances = {WalletName.SPOT: Decimal(0), WalletName.FUT: Decimal(usdt)}
        self.account = Account(balances, clock, _discard)
        self.current = CurrentBehaviour()
        self.funded = Positions() if funded is None else funded
        rates = RateHistory(self.markets, clock)
        rates.lag_ms = (0, 0)
        self.funding = FundingIncome(self.markets, rates, self.funded, clock)
        self.desk = PerpDesk(
            self.markets,
            clock,
            self.account,
            self.current,
            funded=self.funded,
            funding=self.funding,
        )
        self.events: list[PerpEvent] = []
        self.desk.listen(self.events.append)

    @property
    def bid(self) -> Decimal:
        return Decimal(self.market.spec.price(self.market.book.bid))

    @property
    def ask(self) -> Decimal:
        return Decimal(self.market.spec.price(self.market.book.ask))

    @property
    def wallet(self) -> Decimal:
        return self.account.balance(WalletName.FUT)

    def behave(self, **fields: object) -> None:
        self.current.value = MatchingBehaviour(**fields)  # type: ignore[arg-type]

    def move_to(self, price: Decimal) -> None:
        """The last trade is at *price*, and desk and books know it."""
        self.market.move_price(int(price / TICK))
        self.desk.advance()

    def move_by(self, change: int) -> None:
        self.move_to(self.bid + change)

    def place(self, side: str, kind: str = "MARKET", **fields: object) -> Order:
        """As it is once it took what the book offers."""
        return self.order(self.desk.place(new_order(side, kind, **fields)))

    def place_algo(
        self, side: str, away: int, kind: str = "STOP_MARKET", **fields: object
    ) -> AlgoOrder:
        """Its trigger is *away* from the bid."""
        return self.desk.place_algo(new_algo(side, kind, self.bid + away, **fields))

    def order(self, order: Order) -> Order:
        found = self.desk.orders.current(order.symbol, order.order_id)
        assert found is not None
        return found

    def algo(self, algo: AlgoOrder) -> AlgoOrder:
        found = self.desk.algos.store.current(algo.algo_id)
        assert found is not None
        return found

    def position(self, side: str = "BOTH") -> Position | None:
        return next((each for each in self.desk.positions() if each.side == side), None)

    def held(self, side: str = "BOTH") -> Decimal:
        position = self.position(side)
        return Decimal(0) if position is None else position.qty

    def seen(self, kind: type[Event]) -> list[Event]:
        """The events of this kind, in their order."""
        return [event for event in self.events if isinstance(event, kind)]


def new_order(side: str, kind: str = "MARKET", **fields: object) -> NewPerpOrder:
    values: dict[str, object] = {"qty": QTY, **fields}
    if kind == "LIMIT":
        values.setdefault("time_in_force", "GTC")
    return NewPerpOrder(symbol=SYMBOL, side=side, type=kind, **values)  # type: ignore[arg-type]


def new_algo(side: str, kind: str, trigger: Decimal, **fields: object) -> NewAlgoOrder:
    values: dict[str, object] = {"qty": QTY, "trigger": trigger, **fields}
    return NewAlgoOrder(symbol=SYMBOL, side=side, type=kind, **values)  # type: ignore[arg-type]


def _discard(_: Movement) -> None:
    """No journal."""
