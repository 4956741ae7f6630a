"""One row of exchangeInfo: as a listing for the feed, and as a spec for the registry.

Binance, SPOT rest-api.md and USD-M "Exchange Information". `pricePrecision` and
`quantityPrecision` are not tick and step (Binance's own comment), so they are not read.
"""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.binance.instruments.filters import Filters, read_filters
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.market.instrument_selection import Listing, contract_kind

NO_DELIVERY_MS = 4_133_404_800_000
"""The delivery date of a contract without one: 2100-12-25."""

_Text: TypeAlias = Annotated[str, Meta(max_length=64)]
_Texts: TypeAlias = Annotated[tuple[_Text, ...], Meta(max_length=200)]
_Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class _ListingRow(Struct):
    """What the feed needs; other fields cannot spoil it."""

    symbol: _Name
    status: _Name
    quoteAsset: _Name  # noqa: N815 (Binance's name)
    baseAsset: _Text | None = None  # noqa: N815 (Binance's name)
    marginAsset: _Text | None = None  # noqa: N815 (Binance's name)
    contractType: _Text | None = None  # noqa: N815 (Binance's name)


class _SymbolRow(_ListingRow, kw_only=True):
    """Where null is allowed, it is read as absent. Without filters there would be no rules."""

    baseAsset: _Name  # noqa: N815 (Binance's name)
    filters: list[Raw]
    underlyingType: _Text | None = None  # noqa: N815 (Binance's name)
    underlyingSubType: _Texts | None = None  # noqa: N815 (Binance's name)
    onboardDate: _Epoch | None = None  # noqa: N815 (Binance's name)
    deliveryDate: _Epoch | None = None  # noqa: N815 (Binance's name)
    orderTypes: _Texts | None = None  # noqa: N815 (Binance's name)
    timeInForce: _Texts | None = None  # noqa: N815 (Binance's name)
    ocoAllowed: bool | None = None  # noqa: N815 (Binance's name)
    otoAllowed: bool | None = None  # noqa: N815 (Binance's name)
    opoAllowed: bool | None = None  # noqa: N815 (Binance's name)


def decode_listing(venue: Venue, row: Raw) -> Listing | None:
    """None for a COIN-M contract.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    symbol = msgspec.json.decode(row, type=_ListingRow, strict=False)
    if _is_coin_margined(symbol):
        return None
    contract_type = symbol.contractType or ""
    return Listing(
        InstrumentId(venue, parse_symbol(symbol.symbol)),
        symbol.quoteAsset,
        symbol.status == "TRADING",
        contract_type,
        contract_kind(contract_type),
    )


def decode_spec(venue: Venue, row: Raw) -> InstrumentSpec | None:
    """None for a COIN-M contract.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    symbol = msgspec.json.decode(row, type=_SymbolRow, strict=False)
    if _is_coin_margined(symbol):
        return None
    return _spec(venue, symbol, read_filters(symbol.filters))


def _is_coin_margined(row: _ListingRow) -> bool:
    return bool(row.marginAsset) and row.marginAsset == row.baseAsset


def _spec(venue: Venue, row: _SymbolRow, filters: Filters) -> InstrumentSpec:
    delivery = row.deliveryDate or None
    return InstrumentSpec(
        instrument=InstrumentId(venue, parse_symbol(row.symbol)),
        status=row.status,
        base_asset=row.baseAsset,
        quote_asset=row.quoteAsset,
        margin_asset=row.marginAsset or "",
        contract_type=row.contractType or "",
        underlying_type=row.underlyingType or "",
        underlying_sub_types=row.underlyingSubType or (),
        onboard_date=row.onboardDate or None,
        delivery_date=None if delivery and delivery >= NO_DELIVERY_MS else delivery,
        tick_size=filters.price.spacing,
        min_price=filters.price.minimum,
        max_price=filters.price.maximum,
        step_size=filters.lot.spacing,
        min_qty=filters.lot.minimum,
        max_qty=filters.lot.maximum,
        market_step_size=filters.market_lot.spacing,
        market_min_qty=filters.market_lot.minimum,
        market_max_qty=filters.market_lot.maximum,
        min_notional=filters.notional.minimum,
        max_notional=filters.notional.maximum,
        market_min_notional=filters.notional.market_minimum,
        market_max_notional=filters.notional.market_maximum,
        order_types=row.orderTypes or (),
        times_in_force=row.timeInForce or (),
        oco_allowed=bool(row.ocoAllowed),
        oto_allowed=bool(row.otoAllowed),
        opo_allowed=bool(row.opoAllowed),
        filters=filters.texts,
    )
