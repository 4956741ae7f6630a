"""The algo orders of the account: their ids, and what queries see of them."""

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.matching.order_store import Ids, OrderStore
from chimera_s1.adapters.simulator.matching.records import AlgoOrder
from chimera_s1.adapters.simulator.matching.versions import Versions

_FIRST_ID = 10**12
"""Added to every id, so that no order has the same one."""


class AlgoStore:
    """Apart from the orders: a query for an order never finds an algo order, nor the reverse."""

    def __init__(self, clock: ScaledClock, orders: OrderStore) -> None:
        self._orders = orders
        self._ids = Ids(clock)
        self._algos: Versions[int, AlgoOrder] = Versions()
        self._by_client_id: dict[str, list[int]] = {}
        self._symbols: frozenset[str] | None = None

    def next_id(self) -> int:
        return _FIRST_ID + self._ids.next("algo order")

    def put(self, algo: AlgoOrder) -> None:
        if self._algos.current(algo.algo_id) is None:
            self._by_client_id.setdefault(algo.client_id, []).append(algo.algo_id)
        self._algos.put(algo.algo_id, algo)
        self._symbols = None

    def current(self, algo_id: int) -> AlgoOrder | None:
        return self._algos.current(algo_id)

    def find_open(self, algo_id: int | None, client_id: str | None) -> AlgoOrder | None:
        ids = self._ids_of(algo_id, client_id)
        found = (self._algos.current(each) for each in reversed(ids))
        return next((each for each in found if each is not None and each.is_open), None)

    def open(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Oldest first."""
        return [each for each in self._algos.open() if symbol in {None, each.symbol}]

    def open_symbols(self) -> frozenset[str]:
        if self._symbols is None:
            self._symbols = frozenset(each.symbol for each in self._algos.open())
        return self._symbols

    def all(self) -> list[AlgoOrder]:
        """Every algo order ever placed, oldest first."""
        return self._algos.all()

    def seen(self, algo_id: int | None, client_id: str | None) -> AlgoOrder | None:
        """As queries see it; by *client_id*, the last one that they see."""
        at_ms = self._orders.seen_ms()
        ids = self._ids_of(algo_id, client_id)
        found = (self._algos.seen_at(each, at_ms) for each in reversed(ids))
        return next((each for each in found if each is not None), None)

    def seen_open(self, symbol: str | None) -> list[AlgoOrder]:
        algos = self._algos.seen_open(self._orders.seen_ms())
        return [each for each in algos if symbol in {None, each.symbol}]

    def seen_all(self, symbol: str) -> list[AlgoOrder]:
        algos = self._algos.seen(self._orders.seen_ms())
        return [each for each in algos if each.symbol == symbol]

    def _ids_of(self, algo_id: int | None, client_id: str | None) -> list[int]:
        return self._by_client_id.get(client_id or "", []) if algo_id is None else [algo_id]
