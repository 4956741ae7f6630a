"""A funding record as the stores keep it; other services read the rows."""

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.money import exact_text

_DECIMAL: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class PartRow(Struct, frozen=True):
    """An `IncomePart`; *amount* is the exact decimal."""

    tran_id: int
    asset: str
    amount: str


class ConversionRow(Struct, frozen=True):
    """A `Conversion`; *rate* is the exact decimal."""

    asset: str
    rate: str
    time: int


class FundingRow(Struct, frozen=True, kw_only=True):
    """Flat; the names are columns and attributes of `funding_records`.

    Attributes:
        rate, rate_est, mark_price, amount_usdt, asset_amount: For calculations. `<name>_text` is
            the exact decimal, which decides.
        asset, asset_amount: What was paid or received, before its conversion; None if *parts* are
            in several assets.
        account: None for a record without an amount.
    """

    symbol: Symbol
    funding_time: int
    rate_type: str
    version: int
    rate: float
    rate_text: str
    rate_est: float | None
    rate_est_text: str | None
    mark_price: float | None
    mark_price_text: str | None
    interval_h: int | None
    amount_usdt: float | None
    amount_usdt_text: str | None
    asset: str | None
    asset_amount: float | None
    account: str | None
    content_hash: str
    first_seen_at: int
    parts: tuple[PartRow, ...] | None
    conversions: tuple[ConversionRow, ...] | None


def row_of(record: FundingRecord) -> FundingRow:
    key, amount = record.key, record.amount
    asset, asset_amount = (None, None) if amount is None else _in_one_asset(amount)
    amount_usdt = None if amount is None else amount.amount_usdt
    return FundingRow(
        symbol=key.symbol,
        funding_time=key.funding_time,
        rate_type=key.rate_type,
        version=record.version,
        rate=float(record.rate),
        rate_text=exact_text(record.rate),
        rate_est=_number(record.rate_est),
        rate_est_text=_text(record.rate_est),
        mark_price=_number(record.mark_price),
        mark_price_text=_text(record.mark_price),
        interval_h=record.interval_h,
        amount_usdt=_number(amount_usdt),
        amount_usdt_text=_text(amount_usdt),
        asset=asset,
        asset_amount=asset_amount,
        account=None if amount is None else amount.account,
        content_hash=record.content_hash,
        first_seen_at=record.first_seen_at,
        parts=None if amount is None else _part_rows(amount),
        conversions=None if amount is None else _conversion_rows(amount),
    )


def record_of(row: FundingRow) -> FundingRecord:
    """Raises: InvalidValueError: An exact text is no decimal number."""
    key = SettlementKey(row.funding_time, row.symbol, row.rate_type)
    try:
        return FundingRecord(
            key=key,
            rate=parse_exact(row.rate_text),
            mark_price=_parsed(row.mark_price_text),
            interval_h=row.interval_h,
            rate_est=_parsed(row.rate_est_text),
            amount=_amount(row),
            content_hash=row.content_hash,
            first_seen_at=row.first_seen_at,
            version=row.version,
        )
    except InvalidValueError as error:
        raise InvalidValueError(f"{describe_key(key)}: {error}") from error


def describe_key(key: SettlementKey) -> str:
    return f"{key.symbol} {key.funding_time} {key.rate_type}"


def parse_exact(text: str) -> Decimal:
    """Raises: InvalidValueError: *text* is no plain decimal number."""
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidValueError(f"{text!r} is not an exact decimal number")
    return Decimal(text)


def _amount(row: FundingRow) -> FundingAmount | None:
    if row.account is None:
        return None
    return FundingAmount(
        account=row.account,
        parts=tuple(
            IncomePart(part.tran_id, part.asset, parse_exact(part.amount))
            for part in row.parts or ()
        ),
        conversions=tuple(
            Conversion(each.asset, parse_exact(each.rate), each.time)
            for each in row.conversions or ()
        ),
        amount_usdt=_parsed(row.amount_usdt_text),
    )


def _part_rows(amount: FundingAmount) -> tuple[PartRow, ...]:
    return tuple(
        PartRow(part.tran_id, part.asset, exact_text(part.amount)) for part in amount.parts
    )


def _conversion_rows(amount: FundingAmount) -> tuple[ConversionRow, ...]:
    return tuple(
        ConversionRow(each.asset, exact_text(each.rate), each.time) for each in amount.conversions
    )


def _in_one_asset(amount: FundingAmount) -> tuple[str | None, float | None]:
    assets = {part.asset for part in amount.parts}
    if len(assets) != 1:
        return None, None
    return assets.pop(), float(sum(part.amount for part in amount.parts))


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else exact_text(value)


def _parsed(text: str | None) -> Decimal | None:
    return None if text is None else parse_exact(text)
