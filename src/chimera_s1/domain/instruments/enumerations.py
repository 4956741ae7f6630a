"""Values of Binance's enumerations that this version knows. Any other is kept as text."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.difference import filter_type
from chimera_s1.domain.instruments.instrument import InstrumentSpec


class StatusClass(StrEnum):
    """What a status means for orders; the value is used in reports."""

    PENDING = "pending"
    TRADING = "trading"
    HALTED = "halted"
    CANCEL_ONLY = "cancel_only"
    SETTLING = "settling"
    CLOSED = "closed"
    UNKNOWN = "unknown"


_STATUS_CLASSES = {
    "PENDING_TRADING": StatusClass.PENDING,
    "PRE_TRADING": StatusClass.PENDING,
    "TRADING": StatusClass.TRADING,
    "POST_TRADING": StatusClass.HALTED,
    "END_OF_DAY": StatusClass.HALTED,
    "HALT": StatusClass.HALTED,
    "AUCTION_MATCH": StatusClass.HALTED,
    "BREAK": StatusClass.HALTED,
    "TRADING_HALT": StatusClass.HALTED,
    "CANCEL_ONLY": StatusClass.CANCEL_ONLY,
    "TRADING_CANCEL_ONLY": StatusClass.CANCEL_ONLY,
    "PRE_DELIVERING": StatusClass.SETTLING,
    "DELIVERING": StatusClass.SETTLING,
    "PRE_SETTLE": StatusClass.SETTLING,
    "SETTLING": StatusClass.SETTLING,
    "DELIVERED": StatusClass.CLOSED,
    "CLOSE": StatusClass.CLOSED,
}
"""Binance, SPOT enums.md and USD-M "Common Definition"; older spot values are kept."""

KNOWN_VALUES = {
    "status": frozenset(_STATUS_CLASSES),
    "contract_type": frozenset({
        "", "PERPETUAL", "TRADIFI_PERPETUAL",
        "CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER",
        "PERPETUAL_DELIVERING", "CURRENT_QUARTER_DELIVERING", "NEXT_QUARTER_DELIVERING",
        "PERPETUAL DELIVERING", "CURRENT_QUARTER DELIVERING", "NEXT_QUARTER DELIVERING",
    }),
    "underlying_type": frozenset({
        "", "COIN", "INDEX", "PREMARKET", "EQUITY", "HK_EQUITY", "KR_EQUITY", "CN_EQUITY",
        "COMMODITY", "FX",
    }),
    "order_type": frozenset({
        "LIMIT", "LIMIT_MAKER", "MARKET", "STOP", "STOP_MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT",
        "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TAKE_PROFIT_LIMIT", "TRAILING_STOP_MARKET",
    }),
    "time_in_force": frozenset({"GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC", "RPI"}),
    "filter": frozenset({
        "PRICE_FILTER", "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE", "LOT_SIZE", "MARKET_LOT_SIZE",
        "MIN_NOTIONAL", "NOTIONAL", "ICEBERG_PARTS", "TRAILING_DELTA", "MAX_POSITION",
        "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_LISTS",
        "MAX_NUM_ORDER_AMENDS", "POSITION_RISK_CONTROL", "T_PLUS_SELL",
    }),
}  # fmt: skip


class UnknownValue(Struct, frozen=True, order=True):
    """*field* is a key of `KNOWN_VALUES`; *value* is the venue's text."""

    field: str
    value: str


def status_class(status: str) -> StatusClass:
    return _STATUS_CLASSES.get(status, StatusClass.UNKNOWN)


def unknown_values(specs: Iterable[InstrumentSpec]) -> dict[UnknownValue, InstrumentId]:
    """Each value that this version does not know, with the first instrument that has it."""
    found: dict[UnknownValue, InstrumentId] = {}
    for spec in specs:
        for field, value in _values(spec):
            if value not in KNOWN_VALUES[field]:
                found.setdefault(UnknownValue(field, value), spec.instrument)
    return found


def _values(spec: InstrumentSpec) -> Iterator[tuple[str, str]]:
    yield "status", spec.status
    yield "contract_type", spec.contract_type
    yield "underlying_type", spec.underlying_type
    yield from (("order_type", value) for value in spec.order_types)
    yield from (("time_in_force", value) for value in spec.times_in_force)
    yield from (("filter", filter_type(text)) for text in spec.filters)
