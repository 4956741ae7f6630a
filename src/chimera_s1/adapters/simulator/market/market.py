"""MovementJournal that move along seeded paths: pure price paths, and where on its path each symbol is."""

import random
from collections.abc import Iterable, Sequence

from msgspec import Struct

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.domain.identifiers import Venue

PATH_LENGTH = 256
"""MovementJournal in one path; a path closes on itself, so a symbol may run round it for ever."""

BOOK_LEVELS = 100
_SPREADS = (1, 1, 1, 2, 3)
_MIXER = 0x9E3779B1


class Book(Struct, frozen=True, gc=False):
    """Best bid and ask: prices in ticks, quantities in steps. Lower levels follow from it."""

    bid: int
    ask: int
    bid_steps: int
    ask_steps: int


Level = tuple[int, int]
"""Price in ticks, quantity in steps."""


def price_path(spec: SymbolSpec, seed: int) -> tuple[Book, ...]:
    """The PATH_LENGTH books of *spec*; the same for the same *seed*, and never crossed or locked."""
    chance = random.Random(f"{seed}:{spec.venue.value}:{spec.symbol}")  # noqa: S311  # not a secret
    reach = max(1, spec.price_ticks // 200_000)
    moves = [chance.randint(-reach, reach) for _ in range(PATH_LENGTH)]
    # What the walk strayed in all is taken back in equal parts, so that the path closes.
    strayed = sum(moves)
    books: list[Book] = []
    walked = 0
    for n, move in enumerate(moves, start=1):
        walked += move
        bid = max(BOOK_LEVELS + 1, spec.price_ticks + walked - strayed * n // PATH_LENGTH)
        ask = bid + chance.choice(_SPREADS)
        books.append(Book(bid, ask, chance.randint(1, 90_000), chance.randint(1, 90_000)))
    return tuple(books)


def bids_of(book: Book, levels: int) -> list[Level]:
    """The best *levels* bids, best first."""
    return [(book.bid, book.bid_steps)] + [
        (price, _resting_steps(price)) for price in range(book.bid - 1, book.bid - levels, -1)
    ]


def asks_of(book: Book, levels: int) -> list[Level]:
    """The best *levels* asks, best first."""
    return [(book.ask, book.ask_steps)] + [
        (price, _resting_steps(price)) for price in range(book.ask + 1, book.ask + levels)
    ]


def changed_bids(books: Sequence[Book]) -> list[Level]:
    """Every bid level that changed on the way through *books*, with its last quantity; 0 is gone.

    All of them, not only those in which the first and the last book differ: a snapshot taken in
    between may hold a level that neither of them has.
    """
    tops = [book.bid for book in books]
    last = books[-1]
    return [
        (price, _bid_steps(last, price))
        for price in range(max(tops), min(tops) - BOOK_LEVELS, -1)
        if not max(tops) - BOOK_LEVELS < price < min(tops)
    ]


def changed_asks(books: Sequence[Book]) -> list[Level]:
    """As `changed_bids`, for the other side."""
    tops = [book.ask for book in books]
    last = books[-1]
    return [
        (price, _ask_steps(last, price))
        for price in range(min(tops), max(tops) + BOOK_LEVELS)
        if not max(tops) < price < min(tops) + BOOK_LEVELS
    ]


def _bid_steps(book: Book, price: int) -> int:
    if price == book.bid:
        return book.bid_steps
    return _resting_steps(price) if book.bid - BOOK_LEVELS < price < book.bid else 0


def _ask_steps(book: Book, price: int) -> int:
    if price == book.ask:
        return book.ask_steps
    return _resting_steps(price) if book.ask < price < book.ask + BOOK_LEVELS else 0


def _resting_steps(price: int) -> int:
    # A level away from the top keeps its quantity while the market moves, so diffs stay small.
    return (price * _MIXER >> 7) % 90_000 + 1


class SymbolMarket:
    """One symbol on its path.

    Attributes:
        update_id: Of the newest book; grows with every update and over restarts.
    """

    __slots__ = ("_path", "_seed", "position", "spec", "stride", "update_id")

    def __init__(self, spec: SymbolSpec, seed: int, first_update_id: int) -> None:
        self.spec = spec
        self._seed = seed
        self._path: tuple[Book, ...] = ()
        self.position = 0
        self.update_id = first_update_id
        # Futures update ids are not contiguous per symbol (Binance, "How to manage a local order
        # book": only `pu` chains them); spot ids are.
        self.stride = 1 if spec.venue is Venue.SPOT else 3

    @property
    def path(self) -> tuple[Book, ...]:
        """All its books; made at first use, because most symbols are never asked for."""
        if not self._path:
            self._path = price_path(self.spec, self._seed)
        return self._path

    @property
    def book(self) -> Book:
        """The book now."""
        return self.path[self.position]

    def books_since(self, update_id: int) -> list[Book]:
        """The books from the one with *update_id* to the one now, each at most once."""
        steps = min((self.update_id - update_id) // self.stride, PATH_LENGTH - 1)
        return [
            self.path[position % PATH_LENGTH]
            for position in range(self.position - steps, self.position + 1)
        ]

    def advance(self) -> None:
        """One book update."""
        self.position = (self.position + 1) % PATH_LENGTH
        self.update_id += self.stride


class Market:
    """All listed symbols of both venues, by venue and symbol."""

    def __init__(self, specs: Iterable[SymbolSpec], seed: int, start_ms: int) -> None:
        # Ids go on growing over a restart, as the exchange's do, because they start from the clock;
        # 100 per millisecond is more than any symbol is moved.
        self._symbols = {
            (spec.venue, spec.symbol): SymbolMarket(spec, seed, start_ms * 100) for spec in specs
        }

    def find(self, venue: Venue, symbol: str) -> SymbolMarket | None:
        """The symbol, or None where the venue does not list it."""
        return self._symbols.get((venue, symbol))

    def listed(self, venue: Venue) -> list[SymbolMarket]:
        """All symbols of *venue*, whatever their status, COIN-M included."""
        return [market for (of, _), market in self._symbols.items() if of is venue]
