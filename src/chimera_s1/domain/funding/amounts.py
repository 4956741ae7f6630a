"""What an account paid or received at a settlement, compared with what is stored of it.

More rows of a settlement are a new version of its record. A row that changed or vanished is
disputed, and what is stored stays. So does the amount of another account: a record has one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Final, TypeAlias

from msgspec import Struct, structs

from chimera_s1.domain.canonical import canonical_hash
from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingDispute,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.money import exact_text

USDT: Final = "USDT"

_PRECISION: Final = 200
"""Digits; amounts and prices have at most 40 each, so no product or sum is rounded."""

_PARTS_SHOWN: Final = 20


class AmountChange(Struct, frozen=True):
    """*record*, and the amount that it will have once prices are known.

    Attributes:
        conversions: Those that are stored already.
    """

    record: FundingRecord
    account: str
    parts: tuple[IncomePart, ...]
    conversions: Mapping[str, Conversion]

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Assets whose price is needed."""
        assets = {part.asset for part in self.parts} - {USDT, *self.conversions}
        return tuple(sorted(assets))

    def priced(self, prices: Mapping[str, Conversion]) -> FundingRecord | None:
        """The next version; None where it would say nothing new. Assets may be left out."""
        known = {**prices, **self.conversions}
        assets = sorted({part.asset for part in self.parts} & known.keys())
        conversions = tuple(known[asset] for asset in assets)
        amount = FundingAmount(
            account=self.account,
            parts=self.parts,
            conversions=conversions,
            amount_usdt=sum_usdt(self.parts, conversions),
        )
        if amount == self.record.amount:
            return None
        return structs.replace(self.record, amount=amount, version=self.record.version + 1)


class OtherAccountsAmount(Struct, frozen=True):
    """The record has the amount of another account, which is kept."""

    key: SettlementKey
    account: str


AmountReview: TypeAlias = AmountChange | FundingDispute | OtherAccountsAmount


def review_amount(
    record: FundingRecord,
    account: str,
    parts: tuple[IncomePart, ...],
    *,
    final: bool,
    now_ms: int,
) -> AmountReview | None:
    """What *parts*, all rows of a settlement as `parts_of` orders them, say of its *record*; None:
    nothing new. With *final*, a missing row is no more to come; *now_ms* is for a dispute.
    """
    stored = record.amount
    if stored is None:
        return AmountChange(record, account, parts, {}) if parts else None
    if stored.account != account:
        return OtherAccountsAmount(record.key, stored.account) if parts else None
    missing = list((Counter(stored.parts) - Counter(parts)).elements())
    if missing and (final or _is_changed(missing, parts)):
        return _dispute(record.key, stored.parts, parts, now_ms)
    if missing or (stored.parts == parts and stored.amount_usdt is not None):
        return None
    return AmountChange(record, account, parts, {each.asset: each for each in stored.conversions})


def sum_usdt(parts: Sequence[IncomePart], conversions: Sequence[Conversion]) -> Decimal | None:
    """Exact; None while the price of an asset is not known."""
    rates = {USDT: Decimal(1)} | {each.asset: each.rate for each in conversions}
    if any(part.asset not in rates for part in parts):
        return None
    with localcontext(prec=_PRECISION):
        total = sum((part.amount * rates[part.asset] for part in parts), Decimal(0))
        return Decimal(exact_text(total)) if total else Decimal(0)


def _is_changed(missing: Sequence[IncomePart], parts: Sequence[IncomePart]) -> bool:
    """Whether a missing row is there with another amount."""
    found = {(part.tran_id, part.asset) for part in parts if part.tran_id}
    return any((part.tran_id, part.asset) in found for part in missing)


def _dispute(
    key: SettlementKey, stored: Sequence[IncomePart], found: Sequence[IncomePart], now_ms: int
) -> FundingDispute:
    return FundingDispute(
        key=key,
        field="amount",
        stored=_text(stored),
        found=_text(found),
        content_hash=canonical_hash(found),
        found_at=now_ms,
    )


def _text(parts: Sequence[IncomePart]) -> str:
    """`-0.375 USDT (9689322392)`; empty without rows."""
    shown = [
        f"{exact_text(part.amount)} {part.asset} ({part.tran_id})" for part in parts[:_PARTS_SHOWN]
    ]
    hidden = len(parts) - len(shown)
    return ", ".join([*shown, *([f"{hidden} more"] if hidden else [])])
