"""The next content of one instrument, and which reads brought it."""

from msgspec import structs

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    LeverageBrackets,
)
from chimera_s1.domain.instruments.listing_read import ListingExtras
from chimera_s1.domain.operations.active_configuration import RiskLimits

FUNDING_INTERVAL_H = 8
"""Of a perpetual contract that fundingInfo does not name."""

_SOURCES = {
    "leverage_brackets": "leverageBracket",
    "funding_interval_h": "fundingInfo",
    "delisting_date": "delist-schedule",
    "risk": "s10",
}


def with_extras(content: InstrumentContent, extras: ListingExtras) -> InstrumentContent:
    """*content* with what *extras* say; what they did not read stays."""
    return structs.replace(
        content,
        leverage_brackets=_leverage_brackets(content, extras),
        funding_interval_h=_funding_interval_h(content, extras),
        delisting_date=_delisting_date(content, extras),
        risk=_risk(content, extras),
    )


def sources(old: InstrumentContent | None, new: InstrumentContent, listing: str) -> str:
    """The reads that made *new* of *old*; *listing* names the one of the listing."""
    base = InstrumentContent(spec=new.spec, listed=False) if old is None else old
    named = [listing] if (base.spec, base.listed) != (new.spec, new.listed) else []
    named += [
        source for field, source in _SOURCES.items() if getattr(base, field) != getattr(new, field)
    ]
    return ", ".join(named)


def _leverage_brackets(
    content: InstrumentContent, extras: ListingExtras
) -> LeverageBrackets | None:
    if content.spec.instrument.venue is Venue.SPOT:
        return None
    brackets = extras.leverage_brackets or {}
    return brackets.get(content.spec.instrument.symbol, content.leverage_brackets)


def _funding_interval_h(content: InstrumentContent, extras: ListingExtras) -> int | None:
    spec = content.spec
    if spec.instrument.venue is Venue.SPOT:
        return None
    if extras.funding_intervals is None:
        return content.funding_interval_h
    # PERPETUAL, TRADIFI_PERPETUAL, and kinds to come; dated contracts pay none.
    default = FUNDING_INTERVAL_H if "PERPETUAL" in spec.contract_type else None
    interval = extras.funding_intervals.get(spec.instrument.symbol, default)
    unusable = interval is None and spec.instrument.symbol in extras.funding_intervals
    return content.funding_interval_h if unusable else interval


def _delisting_date(content: InstrumentContent, extras: ListingExtras) -> int | None:
    if extras.delisting_dates is None:
        return content.delisting_date
    return extras.delisting_dates.get(content.spec.instrument)


def _risk(content: InstrumentContent, extras: ListingExtras) -> RiskLimits | None:
    if extras.risk is None:
        return content.risk
    new, old = extras.risk.get(content.spec.instrument), content.risk
    if new is not None and old is not None and structs.replace(new, rev=old.rev) == old:
        return old  # a revision that repeats the limits did not set them
    return new
