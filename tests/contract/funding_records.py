"""Records and changes for the tests of the funding store."""

from decimal import Decimal
from typing import Any

from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingDispute,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import FundingChange

HOUR_MS = 3_600_000
START = 1_772_496_000_000
"""A full day, UTC."""
CHINESE = "币安人生USDT"


def key_of(symbol: str, hour: int = 0, rate_type: str = REGULAR) -> SettlementKey:
    """Of the settlement *hour* hours after `START`."""
    return SettlementKey(START + hour * HOUR_MS, Symbol(symbol), rate_type)


def amount_of(usdt: str | None, asset: str = "USDT") -> FundingAmount:
    value = Decimal(usdt or "1.5")
    return FundingAmount(
        account="live:1",
        parts=(IncomePart(9_007_199_254_740_993, asset, value),),
        amount_usdt=None if usdt is None else value,
    )


def full_record(symbol: str, hour: int = 0, **changes: Any) -> FundingRecord:
    """A record in which every attribute has a value."""
    attributes: dict[str, Any] = {
        "key": key_of(symbol, hour),
        "rate": Decimal("0.00010000"),
        "mark_price": Decimal("67403.80000001"),
        "interval_h": 8,
        "rate_est": Decimal("-1E-8"),
        "amount": FundingAmount(
            account="live:1",
            parts=(
                IncomePart(1, "BNB", Decimal("-0.00000001")),
                IncomePart(9_007_199_254_740_993, "USDT", Decimal("92233720368.54775807")),
            ),
            conversions=(Conversion("BNB", Decimal("612.30"), START - 60_000),),
            amount_usdt=Decimal("92233720368.54775195"),
        ),
        "content_hash": "a" * 64,
        "first_seen_at": START + 5_000,
    }
    return FundingRecord(**attributes | changes)


def bare_record(symbol: str, hour: int = 0, **changes: Any) -> FundingRecord:
    """A record in which whatever may be absent is absent."""
    attributes: dict[str, Any] = {
        "key": key_of(symbol, hour),
        "rate": Decimal("-0.00375"),
        "mark_price": None,
        "content_hash": "b" * 64,
        "first_seen_at": START + 5_000,
    }
    return FundingRecord(**attributes | changes)


def change(record: FundingRecord, *, announce: bool = False) -> FundingChange:
    return FundingChange(record, announce)


def dispute_of(symbol: str, hour: int = 0, **changes: Any) -> FundingDispute:
    attributes: dict[str, Any] = {
        "key": key_of(symbol, hour),
        "field": "rate",
        "stored": "0.0001",
        "found": "0.0002",
        "content_hash": "c" * 64,
        "found_at": START + 9_000,
    }
    return FundingDispute(**attributes | changes)
