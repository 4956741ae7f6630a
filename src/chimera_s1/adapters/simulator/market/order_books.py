"""Order books that follow a seeded price path: pure functions of symbol, seed and position."""

import random
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import accumulate
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.simulator.market.symbols import Level, SymbolSpec

PATH_LENGTH = 256
"""Books in one path; a path is cyclic, so a symbol may follow it for ever."""

_RUN_MAX = 12
"""Updates in a row that change the same side, or both."""

BOOK_LEVELS = 100
_QUANTITY_STEPS_MAX = 90_000
_SPREADS = (1, 1, 1, 2, 3)
_MIXER = 0x9E3779B1


class Book(Struct, frozen=True, gc=False):
    """Best bid and ask, in ticks and steps. The lower levels follow from it."""

    bid: int
    ask: int
    bid_steps: int
    ask_steps: int


class _Side(Enum):
    BIDS = auto()
    ASKS = auto()
    BOTH = auto()


_SIDES = (_Side.BIDS, _Side.ASKS, _Side.BOTH, _Side.BOTH, _Side.BOTH)
"""By their shares: with one to four updates in each, a third of the depth diffs have one side."""


def price_path(spec: SymbolSpec, seed: int) -> tuple[Book, ...]:
    """The PATH_LENGTH books of *spec*: fixed by *seed*, never crossed or locked."""
    generator = random.Random(f"{seed}:{spec.venue.value}:{spec.symbol}")  # noqa: S311  # no secret
    move_max = max(1, spec.price_ticks // 200_000)
    sides = _changed_sides(generator)
    moves = [generator.randint(-move_max, move_max) for side in sides if side is _Side.BOTH]
    # The total drift is taken back in equal parts, so that the path ends where it begins.
    drift, count = sum(moves), len(moves)
    tops = (
        spec.price_ticks + moved - drift * n // count
        for n, moved in enumerate(accumulate(moves), start=1)
    )
    books: list[Book] = []
    for side in sides:
        bid_steps = generator.randint(1, _QUANTITY_STEPS_MAX)
        ask_steps = generator.randint(1, _QUANTITY_STEPS_MAX)
        match side:
            case _Side.BOTH:
                bid = max(BOOK_LEVELS + 1, next(tops))
                books.append(Book(bid, bid + generator.choice(_SPREADS), bid_steps, ask_steps))
            case _Side.BIDS:
                last = books[-1]
                steps = _other(last.bid_steps, bid_steps)
                books.append(Book(last.bid, last.ask, steps, last.ask_steps))
            case _Side.ASKS:
                last = books[-1]
                steps = _other(last.ask_steps, ask_steps)
                books.append(Book(last.bid, last.ask, last.bid_steps, steps))
            case _:
                assert_never(side)
    return tuple(books)


def shifted(path: Sequence[Book], ticks: int) -> tuple[Book, ...]:
    """The same path, *ticks* higher."""
    return tuple(
        Book(book.bid + ticks, book.ask + ticks, book.bid_steps, book.ask_steps) for book in path
    )


def _changed_sides(generator: random.Random) -> list[_Side]:
    """What each book of a path changes: in calm markets one side only, for several updates."""
    sides = [_Side.BOTH]
    while len(sides) < PATH_LENGTH:
        side = _SIDES[generator.randrange(len(_SIDES))]
        sides += [side] * generator.randint(1, _RUN_MAX)
    return sides[:PATH_LENGTH]


def _other(before: int, after: int) -> int:
    """*after*, or another quantity where it equals the one *before*."""
    return after if after != before else before % _QUANTITY_STEPS_MAX + 1


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
    """Every bid level that changed within *books*, with its last quantity; 0 means removed.

    Not only the levels that differ between the first and the last book: a snapshot taken in
    between may hold a level that neither of them has. Empty if only the other side changed.
    """
    if len({(book.bid, book.bid_steps) for book in books}) == 1:
        return []
    tops = [book.bid for book in books]
    last = books[-1]
    return [
        (price, _bid_steps(last, price))
        for price in reversed(list(_shown([top - BOOK_LEVELS + 1 for top in tops])))
        if not max(tops) - BOOK_LEVELS < price < min(tops)
    ]


def changed_asks(books: Sequence[Book]) -> list[Level]:
    """As `changed_bids`, for the other side."""
    if len({(book.ask, book.ask_steps) for book in books}) == 1:
        return []
    tops = [book.ask for book in books]
    last = books[-1]
    return [
        (price, _ask_steps(last, price))
        for price in _shown(tops)
        if not max(tops) < price < min(tops) + BOOK_LEVELS
    ]


def _shown(lowest: Sequence[int]) -> Iterator[int]:
    """Each price that a book showed, once, from below; its BOOK_LEVELS levels begin at *lowest*.

    Two books far apart show nothing in between: the range between them may be very wide.
    """
    start = min(lowest)
    for low in sorted(set(lowest)):
        yield from range(max(start, low), low + BOOK_LEVELS)
        start = low + BOOK_LEVELS


def _bid_steps(book: Book, price: int) -> int:
    if price == book.bid:
        return book.bid_steps
    return _resting_steps(price) if book.bid - BOOK_LEVELS < price < book.bid else 0


def _ask_steps(book: Book, price: int) -> int:
    if price == book.ask:
        return book.ask_steps
    return _resting_steps(price) if book.ask < price < book.ask + BOOK_LEVELS else 0


def _resting_steps(price: int) -> int:
    # A level below the top keeps its quantity while the market moves, so diffs stay small.
    return (price * _MIXER >> 7) % _QUANTITY_STEPS_MAX + 1
