"""How far a limit price may be from the price that the venue measures it by.

Sources: SPOT filters.md, PERCENT_PRICE and PERCENT_PRICE_BY_SIDE, measured by the average price;
USD-M "Common Definition", PERCENT_PRICE, measured by the mark price: a BUY has an upper bound only,
a SELL a lower one only.
"""

from decimal import Decimal, localcontext

import msgspec
from msgspec import Struct

from chimera_s1.domain.execution.order_request import Side
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import EXACT_PRECISION


class PriceBand(Struct, frozen=True):
    """None: no bound."""

    low: Decimal | None = None
    high: Decimal | None = None


class _PercentPrice(Struct, rename="camel"):
    multiplier_up: Decimal
    multiplier_down: Decimal


class _PercentPriceBySide(Struct, rename="camel"):
    bid_multiplier_up: Decimal
    bid_multiplier_down: Decimal
    ask_multiplier_up: Decimal
    ask_multiplier_down: Decimal


class _Filter(Struct, rename="camel"):
    filter_type: str


def price_band(spec: InstrumentSpec, side: Side, reference: Decimal | None) -> PriceBand:
    """Of a limit price while the price it is measured by is *reference*; without one, unknown."""
    if reference is None:
        return PriceBand()
    for text in spec.filters:
        multipliers = _multipliers(text, side)
        if multipliers is None:
            continue
        with localcontext(prec=EXACT_PRECISION):
            down, up = (multiplier * reference for multiplier in multipliers)
        if spec.instrument.venue is Venue.SPOT:
            return PriceBand(down, up)
        return PriceBand(high=up) if side is Side.BUY else PriceBand(low=down)
    return PriceBand()


def _multipliers(text: str, side: Side) -> tuple[Decimal, Decimal] | None:
    """Down and up; None where the filter is another one, or has another shape than we know."""
    try:
        kind = msgspec.json.decode(text, type=_Filter).filter_type
        if kind == "PERCENT_PRICE":
            band = msgspec.json.decode(text, type=_PercentPrice, strict=False)
            return band.multiplier_down, band.multiplier_up
        if kind == "PERCENT_PRICE_BY_SIDE":
            sides = msgspec.json.decode(text, type=_PercentPriceBySide, strict=False)
            if side is Side.BUY:
                return sides.bid_multiplier_down, sides.bid_multiplier_up
            return sides.ask_multiplier_down, sides.ask_multiplier_up
    except msgspec.DecodeError:
        return None
    return None
