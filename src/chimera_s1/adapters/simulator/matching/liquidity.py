"""What a symbol's book offers, less what this account took of it since it moved."""

from collections.abc import Iterator
from decimal import Decimal

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import (
    BOOK_LEVELS,
    PATH_LENGTH,
    Book,
    asks_of,
    bids_of,
)
from chimera_s1.adapters.simulator.market.trades import last_trade

BUY, SELL = "BUY", "SELL"

Offer = tuple[Decimal, Decimal]
"""Price and quantity."""


class Liquidity:
    """One symbol's current book, and the books it went through since it was last looked at.

    Attributes:
        last_price: Of the last trade.
    """

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._show(market.book, market.position)
        self._version = market.version

    def moves(self) -> Iterator[None]:
        """Show each book that the market went through since, one after the other."""
        market, version = self._market, self._version
        if market.version == version:
            return
        self._version = market.version
        books = market.books_since(version)[1:]
        first = market.position - len(books) + 1
        for position, book in enumerate(books, start=first):
            self._show(book, position % PATH_LENGTH)
            yield

    def _show(self, book: Book, position: int) -> None:
        self._book = book
        self._taken: dict[Decimal, Decimal] = {}
        ticks, _ = last_trade(book, position)
        self.last_price = self._price(ticks)

    def best(self, side: str) -> Decimal:
        """The price at which an order on *side* would take first."""
        return self._price(self._book.ask if side == BUY else self._book.bid)

    def offers(self, side: str, share: Decimal) -> Iterator[Offer]:
        """What an order on *side* can take, best first; *share* is the part of each level."""
        levels = asks_of if side == BUY else bids_of
        spec = self._market.spec
        for ticks, steps in levels(self._book, BOOK_LEVELS):
            price, offered = self._price(ticks), int(steps * share)
            left = Decimal(spec.quantity(offered)) - self._taken.get(price, Decimal(0))
            if left > 0:
                yield price, left

    def take(self, price: Decimal, qty: Decimal) -> None:
        """It is not offered again until the book moves."""
        self._taken[price] = self._taken.get(price, Decimal(0)) + qty

    def _price(self, ticks: int) -> Decimal:
        return Decimal(self._market.spec.price(ticks))
