"""All listed symbols, each at its position on its price path."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from chimera_s1.adapters.simulator.market.funding_terms import FundingTerms
from chimera_s1.adapters.simulator.market.order_books import (
    BOOK_LEVELS,
    PATH_LENGTH,
    Book,
    price_path,
    shifted,
)
from chimera_s1.adapters.simulator.market.symbols import UNLISTED, SymbolSpec
from chimera_s1.adapters.simulator.market.trades import (
    AggregateTrade,
    DayStatistics,
    TradeTape,
    day_statistics,
    last_trade,
)
from chimera_s1.adapters.simulator.market.trading_hours import TradingHours
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

_UPDATE_IDS_PER_MS = 100
_ID_STEP_MAX = 29
_MIXER = 0x9E3779B1


class BookVersion(Struct, frozen=True):
    """A moment in the life of a book.

    Attributes:
        update_id: Of the last update.
        updates: How many were made before.
    """

    update_id: int
    updates: int


class SymbolMarket:
    """One symbol on its price path.

    Attributes:
        position: Index of the current book in the path.
        update_id: Of the current book; grows with every update and over restarts.
        tape: Numbers its trades.
        delisted: The venue knows it no more: REST refuses it, and its streams stay silent.
        funding: When it settles funding.
    """

    __slots__ = (
        "_day",
        "_earlier_paths",
        "_path",
        "_seed",
        "_updates",
        "delisted",
        "funding",
        "position",
        "spec",
        "tape",
        "update_id",
    )

    def __init__(self, spec: SymbolSpec, seed: int, first_id: int) -> None:
        self.spec = spec
        self.delisted = False
        self.funding = FundingTerms(spec)
        self._seed = seed
        self._path: tuple[Book, ...] = ()
        self._day: DayStatistics | None = None
        self._earlier_paths: deque[tuple[int, tuple[Book, ...]]] = deque(maxlen=PATH_LENGTH)
        self._updates = 0
        self.position = 0
        self.update_id = first_id
        self.tape = TradeTape(first_id)

    def change(self, spec: SymbolSpec, at_ms: int, *, delisted: bool = False) -> None:
        """Replace its *spec*, from *at_ms* of exchange time on.

        With another tick its price path starts where it is now.
        """
        self.delisted = delisted
        self.funding.change(spec, at_ms, delisted=delisted)
        if spec.tick != self.spec.tick:
            self._path, self._day = (), None
            self._earlier_paths.clear()
        self.spec = spec

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

    @property
    def ticks_of_bid_and_ask(self) -> int:
        """Their sum; where its path starts, while nothing has asked for its books."""
        if not self._path:
            return 2 * self.spec.price_ticks
        return self.book.bid + self.book.ask

    @property
    def day(self) -> DayStatistics:
        if self._day is None:
            self._day = day_statistics(self.path)
        return self._day

    @property
    def last_trade(self) -> tuple[int, int]:
        """Price in ticks and quantity in steps."""
        return last_trade(self.book, self.position)

    def next_trade(self) -> AggregateTrade:
        return self.tape.next_trade(self.book, self.position)

    @property
    def version(self) -> BookVersion:
        """Of the current book."""
        return BookVersion(self.update_id, self._updates)

    def first_id_after(self, version: BookVersion) -> int:
        """The `U` of an event with everything since *version*: at most its first update's id."""
        step = self._id_step(version.updates)
        return version.update_id + 1 + (version.updates * _MIXER >> 5) % step

    def books_since(self, version: BookVersion) -> list[Book]:
        """The books from the one of *version* to the current one, each at most once."""
        books: list[Book] = []
        first = version.updates
        for last, path in (*self._earlier_paths, (self._updates, self.path)):
            if last < first:
                continue
            offset = self.position - self._updates
            start = max(first, last - PATH_LENGTH + 1)
            books += [path[(offset + n) % PATH_LENGTH] for n in range(start, last + 1)]
            first = last + 1
        return books

    def move_price(self, ticks: int) -> None:
        """Move to the next book, shifted so that its last trade is at *ticks*; the path follows.

        Raises:
            InvalidValueError: The books would reach down to a price of 0.
        """
        position = (self.position + 1) % PATH_LENGTH
        price, _ = last_trade(self.path[position], position)
        path = shifted(self.path, ticks - price)
        lowest = min(book.bid for book in path)
        if lowest <= BOOK_LEVELS:
            raise InvalidValueError(
                f"{self.spec.symbol}: its lowest bid would be {lowest} ticks, and a book has "
                f"{BOOK_LEVELS} levels; choose a higher price"
            )
        self._earlier_paths.append((self._updates, self.path))
        self._path, self._day = path, None
        self.advance()

    def advance(self) -> None:
        """Move to the next book."""
        self.position = (self.position + 1) % PATH_LENGTH
        self.update_id += self._id_step(self._updates)
        self._updates += 1

    def _id_step(self, updates: int) -> int:
        """How far the id moves with the update after the first *updates*.

        Spot ids are contiguous per symbol. Futures ids are not (Binance, "How to manage a local
        order book": only `pu` chains them), so theirs move by an irregular step.
        """
        if self.spec.venue is Venue.SPOT:
            return 1
        return ((updates + 1) * _MIXER >> 11) % _ID_STEP_MAX + 1


class Market:
    """The symbols of both venues.

    Attributes:
        hours: Of the markets that TradFi contracts follow.
        unlisted: A contract that settles funding, and is in no listing.
    """

    def __init__(self, specs: Iterable[SymbolSpec], seed: int, start_ms: int) -> None:
        # Ids start from the clock, so that they grow over a restart, as the exchange's do.
        first_id = start_ms * _UPDATE_IDS_PER_MS
        self._seed, self._first_id = seed, first_id
        self._symbols = {(spec.venue, spec.symbol): self._new(spec) for spec in specs}
        self.hours = TradingHours()
        self.unlisted = self._new(UNLISTED)
        self.unlisted.delisted = True

    def add(self, spec: SymbolSpec, now_ms: int) -> SymbolMarket:
        """List *spec*; one that was delisted is listed again, and its ids go on."""
        key = (spec.venue, spec.symbol)
        market = self._symbols.setdefault(key, self._new(spec))
        market.change(spec, now_ms)
        return market

    def list_new(self, spec: SymbolSpec) -> bool:
        """As `add`, unless the symbol was ever listed; whether it was added."""
        new = (spec.venue, spec.symbol) not in self._symbols
        if new:
            self._symbols[spec.venue, spec.symbol] = self._new(spec)
        return new

    def find(self, venue: Venue, symbol: str) -> SymbolMarket | None:
        market = self._symbols.get((venue, symbol))
        return None if market is None or market.delisted else market

    def _new(self, spec: SymbolSpec) -> SymbolMarket:
        return SymbolMarket(spec, self._seed, self._first_id)

    def perps_ever_listed(self) -> list[SymbolMarket]:
        """All contracts, delisted ones and COIN-M included, and the unlisted one."""
        perps = [market for (of, _), market in self._symbols.items() if of is Venue.PERP]
        return [*perps, self.unlisted]

    def find_funded(self, symbol: str) -> SymbolMarket | None:
        """The USD-M contract, delisted or unlisted, too."""
        if symbol == self.unlisted.spec.symbol:
            return self.unlisted
        market = self._symbols.get((Venue.PERP, symbol))
        return market if market is not None and market.spec.is_usd_margined else None

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
