"""The filters of a symbol: the rules of its orders.

Spot and futures use one name for two shapes (MIN_NOTIONAL), and two names for one rule (NOTIONAL).
A filter of another type is kept as it is. One of these that cannot be read makes the row unusable:
orders would be sized without its rule.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.binance.exact_numbers import bounded_number, exact
from chimera_s1.domain.canonical import canonical_json
from chimera_s1.domain.errors import InvalidValueError

FILTERS_MAX = 100
_TEXT_LENGTH_MAX = 4_096

_Type: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_T = TypeVar("_T", bound=Struct)

_with_exact_numbers = msgspec.json.Decoder(float_hook=bounded_number)


class _Filter(Struct):
    filterType: _Type  # noqa: N815 (Binance's name)


class _PriceFilter(Struct):
    tickSize: Decimal  # noqa: N815 (Binance's name)
    minPrice: Decimal | None = None  # noqa: N815 (Binance's name)
    maxPrice: Decimal | None = None  # noqa: N815 (Binance's name)


class _LotSize(Struct):
    stepSize: Decimal  # noqa: N815 (Binance's name)
    minQty: Decimal | None = None  # noqa: N815 (Binance's name)
    maxQty: Decimal | None = None  # noqa: N815 (Binance's name)


class _MinNotional(Struct):
    """`notional` on futures, `minNotional` on spot."""

    notional: Decimal | None = None
    minNotional: Decimal | None = None  # noqa: N815 (Binance's name)
    applyToMarket: bool = True  # noqa: N815 (Binance's name)


class _Notional(Struct):
    minNotional: Decimal  # noqa: N815 (Binance's name)
    applyMinToMarket: bool = True  # noqa: N815 (Binance's name)
    maxNotional: Decimal | None = None  # noqa: N815 (Binance's name)
    applyMaxToMarket: bool = True  # noqa: N815 (Binance's name)


class Bounds(NamedTuple):
    """None where the venue says 0: there is no such rule."""

    spacing: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


class NotionalBounds(NamedTuple):
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    market_minimum: Decimal | None = None
    market_maximum: Decimal | None = None


class Filters(Struct, frozen=True):
    """*texts* are all filters as canonical JSON, in Binance's order."""

    price: Bounds
    lot: Bounds
    market_lot: Bounds
    notional: NotionalBounds
    texts: tuple[str, ...]


def read_filters(rows: Sequence[Raw]) -> Filters:
    """Raises:
    msgspec.DecodeError, InvalidValueError: A filter that is needed cannot be read, or is there
        twice.
    """
    if len(rows) > FILTERS_MAX:
        raise InvalidValueError(f"{len(rows)} filters; at most {FILTERS_MAX} are read")
    by_type: dict[str, Raw] = {}
    texts: list[str] = []
    for row in rows:
        kind, text = _kind_and_text(bytes(row))
        if by_type.setdefault(kind, row) is not row:
            raise InvalidValueError(f"filter {kind} is there twice")
        texts.append(text)
    lot = _lot_size(by_type, "LOT_SIZE")
    return Filters(
        price=_price(by_type),
        lot=lot,
        market_lot=_market_lot(lot, _lot_size(by_type, "MARKET_LOT_SIZE")),
        notional=_notional(by_type),
        texts=tuple(texts),
    )


def _read(by_type: dict[str, Raw], name: str, kind: type[_T]) -> _T | None:
    row = by_type.get(name)
    if row is None:
        return None
    try:
        return msgspec.json.decode(row, type=kind, strict=False)
    except msgspec.DecodeError as error:
        raise InvalidValueError(f"filter {name}: {error}") from error


def _price(by_type: dict[str, Raw]) -> Bounds:
    row = _read(by_type, "PRICE_FILTER", _PriceFilter)
    if row is None:
        return Bounds()
    return Bounds(
        _rule("tickSize", row.tickSize),
        _rule("minPrice", row.minPrice),
        _rule("maxPrice", row.maxPrice),
    )


def _lot_size(by_type: dict[str, Raw], name: str) -> Bounds:
    row = _read(by_type, name, _LotSize)
    if row is None:
        return Bounds()
    return Bounds(
        _rule(f"{name} stepSize", row.stepSize),
        _rule(f"{name} minQty", row.minQty),
        _rule(f"{name} maxQty", row.maxQty),
    )


def _market_lot(lot: Bounds, market: Bounds) -> Bounds:
    """Market orders obey both filters; a rule that MARKET_LOT_SIZE does not set is LOT_SIZE's."""
    minima = [bound for bound in (lot.minimum, market.minimum) if bound]
    maxima = [bound for bound in (lot.maximum, market.maximum) if bound]
    return Bounds(
        market.spacing or lot.spacing, max(minima, default=None), min(maxima, default=None)
    )


def _notional(by_type: dict[str, Raw]) -> NotionalBounds:
    """Of NOTIONAL and MIN_NOTIONAL together: the higher minimum holds."""
    least = _min_notional(_read(by_type, "MIN_NOTIONAL", _MinNotional))
    row = _read(by_type, "NOTIONAL", _Notional)
    if row is None:
        return least
    minimum = _rule("minNotional", row.minNotional)
    maximum = _rule("maxNotional", row.maxNotional)
    return NotionalBounds(
        _higher(least.minimum, minimum),
        maximum,
        _higher(least.market_minimum, minimum if row.applyMinToMarket else None),
        maximum if row.applyMaxToMarket else None,
    )


def _min_notional(row: _MinNotional | None) -> NotionalBounds:
    if row is None:
        return NotionalBounds()
    value = row.minNotional if row.notional is None else row.notional
    if value is None:
        raise InvalidValueError("filter MIN_NOTIONAL: neither notional nor minNotional")
    minimum = _rule("MIN_NOTIONAL", value)
    return NotionalBounds(minimum, market_minimum=minimum if row.applyToMarket else None)


def _rule(name: str, value: Decimal | None) -> Decimal | None:
    """None for 0, too: the rule is off."""
    return None if value is None else exact(name, value) or None


def _higher(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return max((bound for bound in (one, other) if bound is not None), default=None)


@lru_cache(maxsize=2_048)  # most symbols share most of their filters
def _kind_and_text(row: bytes) -> tuple[str, str]:
    kind = msgspec.json.decode(row, type=_Filter).filterType
    text = canonical_json(_with_exact_numbers.decode(row))
    if len(text) > _TEXT_LENGTH_MAX:
        raise InvalidValueError(f"a filter of {len(text)} characters: {text[:80]}...")
    return kind, text
