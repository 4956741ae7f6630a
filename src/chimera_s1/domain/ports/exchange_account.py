"""Port: reads of the account: what is open, held and traded."""

from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.execution.account_configuration import AccountConfiguration
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    OrderListReport,
    OrderReport,
    PositionReport,
)
from chimera_s1.domain.identifiers import Symbol, Venue


class OpenOrders(Struct, frozen=True, kw_only=True):
    """Everything open on a venue.

    Attributes:
        read_from_ms: Exchange time before the first of the requests.
    """

    orders: tuple[OrderReport, ...]
    lists: tuple[OrderListReport, ...]
    read_from_ms: int


class ExchangeAccount(Protocol):
    """Every call reads the exchange, and raises `ExchangeUnavailableError` without a reply that can
    be relied upon, `ExchangeRefusedError` if the key may not read. Rows that cannot be read are
    left out and reported; nothing is concluded from their absence (`unreadable_rows`).
    """

    @property
    def unreadable_rows(self) -> int:
        """So many rows were left out since the start."""
        ...

    async def open_orders(self, venue: Venue) -> OpenOrders:
        """Orders, order lists (spot) and algo orders (futures) of all symbols."""
        ...

    async def positions(self) -> tuple[PositionReport, ...]:
        """Futures positions; also those of quantity 0 that the exchange lists."""
        ...

    async def balances(self, venue: Venue) -> tuple[BalanceReport, ...]:
        """Assets that are not 0."""
        ...

    async def fills(
        self, venue: Venue, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> tuple[FillReport, ...]:
        """Every trade of *symbol* in the span, both ends included, oldest first; all pages."""
        ...

    async def fills_of_order(
        self, venue: Venue, symbol: Symbol, order_id: str
    ) -> tuple[FillReport, ...]:
        """Every trade of one order, commissions included."""
        ...

    async def configuration(self, symbols: tuple[Symbol, ...]) -> AccountConfiguration:
        """What one endpoint refuses is None in it."""
        ...
