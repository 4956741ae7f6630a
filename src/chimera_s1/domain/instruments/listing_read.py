"""What reading a venue gave: its listing, and what other reads say about the same instruments."""

from collections.abc import Mapping

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec, LeverageBrackets
from chimera_s1.domain.operations.active_configuration import RiskLimits


class UnusableListing(Struct, frozen=True):
    """A row that cannot be decoded; *symbol* is empty where not even that can be read."""

    symbol: str
    reason: str


class ListingRead(Struct, frozen=True):
    """A complete read of a venue's listing.

    Attributes:
        specs: Every row that could be decoded, whatever its status; each instrument once.
        unusable: The rows that could not; the others are not affected.
    """

    venue: Venue
    specs: tuple[InstrumentSpec, ...]
    unusable: tuple[UnusableListing, ...] = ()


class ListingExtras(Struct, frozen=True, kw_only=True):
    """What is not in exchangeInfo. None: not read, so what is stored stays.

    Attributes:
        leverage_brackets: Those of a symbol that is absent stay as they are.
        funding_intervals: Hours, None where the row cannot be used; a perpetual contract that is
            absent settles every 8 h.
        delisting_dates: Of spot, epoch ms.
    """

    leverage_brackets: Mapping[Symbol, LeverageBrackets] | None = None
    funding_intervals: Mapping[Symbol, int | None] | None = None
    delisting_dates: Mapping[InstrumentId, int] | None = None
    risk: Mapping[InstrumentId, RiskLimits] | None = None
