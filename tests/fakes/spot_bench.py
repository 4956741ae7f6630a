"""A spot desk in process, on a clock that stands still."""

from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import Movement, WalletName
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import SpotEvent
from chimera_s1.adapters.simulator.matching.new_orders import NewOco, NewSpotOrder, OcoLeg
from chimera_s1.adapters.simulator.matching.records import Balance, Order
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.domain.identifiers import Venue

START_MS = 1_790_000_000_000
SYMBOL = "BTCUSDT"
TICK = Decimal("0.01")
STEP = Decimal("0.00001")
QTY = Decimal("0.01")


class SpotBench:
    def __init__(self, usdt: str = "1000000", btc: str = "10") -> None:
        self.now_ms = START_MS
        clock = ScaledClock(lambda: self.now_ms)
        market = Market(build_symbols((SYMBOL, "BNBUSDT")), 1, START_MS)
        found = market.find(Venue.SPOT, SYMBOL)
        assert found is not None
        self.market = found
        self.account = Account({WalletName.SPOT: Decimal(usdt)}, clock, _discard)
        self.behaviour = CurrentBehaviour()
        self.desk = SpotDesk(market, clock, self.account, self.behaviour)
        self.desk.wallet.add("BTC", Decimal(btc))
        self.events: list[SpotEvent] = []
        self.desk.listen(self.events.append)

    @property
    def bid(self) -> Decimal:
        return Decimal(self.market.spec.price(self.market.book.bid))

    @property
    def ask(self) -> Decimal:
        return Decimal(self.market.spec.price(self.market.book.ask))

    def move(self, books: int = 1) -> None:
        for _ in range(books):
            self.market.advance()
        self.desk.advance()

    def place(self, side: str, kind: str, **fields: object) -> Order:
        return self.desk.place(new_order(side, kind, **fields))

    def balance(self, asset: str) -> Balance:
        return next(each for each in self.desk.balances() if each.asset == asset)

    def current(self, order: Order) -> Order:
        found = self.desk.orders.current(order.symbol, order.order_id)
        assert found is not None
        return found


def new_order(side: str, kind: str, **fields: object) -> NewSpotOrder:
    values: dict[str, object] = {"qty": QTY, **fields}
    if kind == "LIMIT" or kind.endswith("_LIMIT"):
        values.setdefault("time_in_force", "GTC")
    return NewSpotOrder(symbol=SYMBOL, side=side, type=kind, **values)  # type: ignore[arg-type]


def sell_oco(bench: SpotBench, away: Decimal, client_id: str = "list") -> NewOco:
    """A take profit above, and a stop below, both *away* from the market."""
    return NewOco(
        symbol=SYMBOL,
        side="SELL",
        qty=QTY,
        above=OcoLeg(type="LIMIT_MAKER", client_id=f"{client_id}-tp", price=bench.ask + away),
        below=OcoLeg(type="STOP_LOSS", client_id=f"{client_id}-sl", stop_price=bench.bid - away),
        client_id=client_id,
    )


def _discard(_: Movement) -> None:
    """No journal."""
