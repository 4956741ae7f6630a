"""Trades at the best prices: ids, sides and quantities follow from the price path."""

from collections.abc import Sequence

from msgspec import Struct

from chimera_s1.adapters.simulator.market.order_books import Book

_MIXER = 0x9E3779B1
_ROUNDS_PER_DAY = 100
_STEPS_MAX = 97


class AggregateTrade(Struct, frozen=True):
    """What one taker order took at one price: one or more trades with consecutive ids.

    Attributes:
        number: Of the aggregate; consecutive.
        ticks, steps: Price and quantity.
        sold: The taker sold, so that the buyer was the maker.
    """

    number: int
    first_id: int
    last_id: int
    ticks: int
    steps: int
    sold: bool


class TradeTape:
    """Numbers the trades of one symbol.

    Attributes:
        last_id: Of the last single trade.
    """

    __slots__ = ("_last_number", "last_id")

    def __init__(self, first_id: int) -> None:
        self.last_id = first_id
        self._last_number = first_id

    def next_trade(self, book: Book, position: int) -> AggregateTrade:
        """The trade at *book*; a third of them are aggregates of several."""
        self._last_number += 1
        number = self._last_number
        several = (number * _MIXER >> 7) % 5 + 1 if number % 3 == 0 else 0
        first = self.last_id + 1
        self.last_id = first + several
        ticks, steps, sold = _at_best_price(book, position)
        return AggregateTrade(number, first, self.last_id, ticks, steps + several, sold)


class DayStatistics(Struct, frozen=True):
    """The last 24 hours: the whole price path, several times over.

    Attributes:
        first, high, low: Prices in ticks.
        steps: Quantity traded.
        value: Sum of ticks times steps.
        count: Of trades.
    """

    first: int
    high: int
    low: int
    steps: int
    value: int
    count: int


def last_trade(book: Book, position: int) -> tuple[int, int]:
    """Price in ticks and quantity in steps of the trade at *book*."""
    ticks, steps, _ = _at_best_price(book, position)
    return ticks, steps


def day_statistics(path: Sequence[Book]) -> DayStatistics:
    trades = [last_trade(book, position) for position, book in enumerate(path)]
    prices = [ticks for ticks, _ in trades]
    return DayStatistics(
        first=prices[0],
        high=max(prices),
        low=min(prices),
        steps=_ROUNDS_PER_DAY * sum(steps for _, steps in trades),
        value=_ROUNDS_PER_DAY * sum(ticks * steps for ticks, steps in trades),
        count=_ROUNDS_PER_DAY * len(trades),
    )


def _at_best_price(book: Book, position: int) -> tuple[int, int, bool]:
    """The side alternates from book to book."""
    sold = position % 2 == 0
    return book.bid if sold else book.ask, 1 + book.bid_steps % _STEPS_MAX, sold
