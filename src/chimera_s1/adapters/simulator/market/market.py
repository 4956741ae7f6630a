"""All listed symbols, each at its position on its price path."""

from collections.abc import Iterable

from chimera_s1.adapters.simulator.market.order_books import PATH_LENGTH, Book, price_path
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.domain.identifiers import Venue

_UPDATE_IDS_PER_MS = 100


class SymbolMarket:
    """One symbol on its price path.

    Attributes:
        position: Index of the current book in the path.
        update_id: Of the current book; grows with every update and over restarts.
        id_step: Difference between successive update ids.
        delisted: The venue knows it no more: REST refuses it, and its streams stay silent.
    """

    __slots__ = ("_path", "_seed", "delisted", "id_step", "position", "spec", "update_id")

    def __init__(self, spec: SymbolSpec, seed: int, first_update_id: int) -> None:
        self.spec = spec
        self.delisted = False
        self._seed = seed
        self._path: tuple[Book, ...] = ()
        self.position = 0
        self.update_id = first_update_id
        # Futures update ids are not contiguous per symbol (Binance, "How to manage a local order
        # book": only `pu` chains them); spot ids are.
        self.id_step = 1 if spec.venue is Venue.SPOT else 3

    @property
    def is_trading(self) -> bool:
        return self.spec.is_trading and not self.delisted

    @property
    def path(self) -> tuple[Book, ...]:
        """All its books; built at first use, because most symbols are never subscribed."""
        if not self._path:
            self._path = price_path(self.spec, self._seed)
        return self._path

    @property
    def book(self) -> Book:
        return self.path[self.position]

    def books_since(self, update_id: int) -> list[Book]:
        """The books from the one with *update_id* to the current one, each at most once."""
        steps = min((self.update_id - update_id) // self.id_step, PATH_LENGTH - 1)
        return [
            self.path[position % PATH_LENGTH]
            for position in range(self.position - steps, self.position + 1)
        ]

    def advance(self) -> None:
        """Move to the next book."""
        self.position = (self.position + 1) % PATH_LENGTH
        self.update_id += self.id_step


class Market:
    """The symbols of both venues."""

    def __init__(self, specs: Iterable[SymbolSpec], seed: int, start_ms: int) -> None:
        # Ids start from the clock, so that they grow over a restart, as the exchange's do.
        first_id = start_ms * _UPDATE_IDS_PER_MS
        self._symbols = {
            (spec.venue, spec.symbol): SymbolMarket(spec, seed, first_id) for spec in specs
        }

    def find(self, venue: Venue, symbol: str) -> SymbolMarket | None:
        market = self._symbols.get((venue, symbol))
        return None if market is None or market.delisted else market

    def find_ever_listed(self, venue: Venue, symbol: str) -> SymbolMarket | None:
        """The symbol, delisted or not."""
        return self._symbols.get((venue, symbol))

    def find_usd_margined(self, venue: Venue, symbol: str) -> SymbolMarket | None:
        """The symbol, unless it is a COIN-M contract: only all-market streams show those."""
        market = self.find(venue, symbol)
        return market if market is not None and market.spec.is_usd_margined else None

    def listed(self, venue: Venue) -> list[SymbolMarket]:
        """All symbols of *venue*, whatever their status, COIN-M included."""
        return [
            market
            for (of, _), market in self._symbols.items()
            if of is venue and not market.delisted
        ]

    def trading(self, venue: Venue) -> list[SymbolMarket]:
        return [market for market in self.listed(venue) if market.is_trading]
