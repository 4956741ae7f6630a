"""The orders and trades of one venue, their ids, and what queries see of them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.records import Order, Trade
from chimera_s1.adapters.simulator.matching.versions import Versions

OrderKey = tuple[str, int]
"""Symbol and order id: ids are unique for a symbol only."""


class Ids:
    """Numbers that start from the clock, so that they grow over a restart; counted per scope."""

    def __init__(self, clock: ScaledClock) -> None:
        self._first = clock.now_ms()
        self._issued: Counter[str] = Counter()

    def next(self, scope: str) -> int:
        """One above the last one of *scope*, a symbol or a kind of record."""
        self._issued[scope] += 1
        return self._first + self._issued[scope]


class OrderStore:
    def __init__(self, clock: ScaledClock, behaviour: CurrentBehaviour) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._orders: Versions[OrderKey, Order] = Versions()
        self._keys: dict[str, list[OrderKey]] = {}
        self._trades: list[Trade] = []
        self._order_ids, self._trade_ids = Ids(clock), Ids(clock)
        self._client_ids = Ids(clock)
        self._open_symbols: frozenset[str] | None = None

    def next_order_id(self, symbol: str) -> int:
        return self._order_ids.next(symbol)

    def next_trade_id(self, symbol: str) -> int:
        return self._trade_ids.next(symbol)

    def next_client_id(self) -> str:
        """One that the exchange makes for an order that names none."""
        return f"auto{self._client_ids.next('client id')}"

    def put(self, order: Order) -> None:
        key = (order.symbol, order.order_id)
        if self._orders.current(key) is None:
            self._keys.setdefault(order.client_id, []).append(key)
        self._orders.put(key, order)
        self._open_symbols = None

    def add_trade(self, trade: Trade) -> None:
        self._trades.append(trade)

    def current(self, symbol: str, order_id: int) -> Order | None:
        """The order as the matching engine has it."""
        return self._orders.current((symbol, order_id))

    def latest(self, symbol: str, client_id: str) -> Order | None:
        """The last order on *symbol* with this client id, as the matching engine has it."""
        keys = [key for key in self._keys.get(client_id, ()) if key[0] == symbol]
        return self._orders.current(keys[-1]) if keys else None

    def is_client_id_open(self, client_id: str) -> bool:
        """Client ids are unique among open orders only."""
        keys = self._keys.get(client_id, ())
        return any(order is not None and order.is_open for order in map(self._orders.current, keys))

    def open(self, symbol: str | None = None) -> list[Order]:
        """Oldest first, as the matching engine has them."""
        return [each for each in self._orders.open() if symbol in {None, each.symbol}]

    def open_symbols(self) -> frozenset[str]:
        """The symbols with open orders."""
        if self._open_symbols is None:
            self._open_symbols = frozenset(each.symbol for each in self._orders.open())
        return self._open_symbols

    def all(self) -> list[Order]:
        """Every order ever placed, oldest first, as the matching engine has them."""
        return self._orders.all()

    def trades(self) -> list[Trade]:
        """All, oldest first, as the matching engine has them."""
        return list(self._trades)

    def seen(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """As queries see the order; by *client_id*, the last one that they see."""
        if order_id is not None:
            return self._orders.seen_at((symbol, order_id), self.seen_ms())
        keys = [key for key in self._keys.get(client_id or "", ()) if key[0] == symbol]
        at_ms = self.seen_ms()
        orders = (self._orders.seen_at(key, at_ms) for key in reversed(keys))
        return next((order for order in orders if order is not None), None)

    def seen_open(self, symbol: str | None = None) -> list[Order]:
        orders = self._orders.seen_open(self.seen_ms())
        return [each for each in orders if symbol in {None, each.symbol}]

    def seen_all(self, symbol: str) -> list[Order]:
        return [each for each in self._orders.seen(self.seen_ms()) if each.symbol == symbol]

    def seen_trades(self, symbol: str) -> list[Trade]:
        return list(
            _until(self.seen_ms(), (each for each in self._trades if each.symbol == symbol))
        )

    def seen_ms(self) -> int | None:
        """The moment that queries see now; None if they do not lag."""
        lag_ms = self._behaviour.value.query_lag_ms
        return self._clock.now_ms() - lag_ms if lag_ms else None


def _until(at_ms: int | None, trades: Iterable[Trade]) -> Iterator[Trade]:
    return (each for each in trades if at_ms is None or each.at_ms <= at_ms)
