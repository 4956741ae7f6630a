"""Port: what a venue publishes about its instruments."""

from collections.abc import Mapping
from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import LeverageBrackets
from chimera_s1.domain.instruments.listing_read import ListingRead
from chimera_s1.domain.instruments.trading_session import TradingSession


class InstrumentSource(Protocol):
    """All reads may be repeated. Each call raises `ExchangeUnavailableError` without a usable
    answer, and `ExchangeRefusedError` if the venue refuses the request.
    """

    async def listing(self, venue: Venue) -> ListingRead: ...

    async def leverage_brackets(self) -> Mapping[Symbol, LeverageBrackets] | None:
        """Of the key's account; None without a key."""
        ...

    async def funding_intervals(self) -> Mapping[Symbol, int | None]:
        """Hours by perp symbol, None where the row cannot be used; a perp that is absent settles
        every 8 h.
        """
        ...

    async def delisting_dates(self) -> Mapping[InstrumentId, int] | None:
        """When spot instruments stop trading, epoch ms; None without a key."""
        ...

    async def trading_sessions(self) -> Mapping[str, tuple[TradingSession, ...]]:
        """By underlying type (`EQUITY`, `COMMODITY`), in order."""
        ...
