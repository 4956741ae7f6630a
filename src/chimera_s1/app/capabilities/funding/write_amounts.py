"""Write what an account paid and received into the records of settlements."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias, assert_never

from chimera_s1.app.capabilities.funding.amounts_read import AmountsRead
from chimera_s1.app.capabilities.funding.asset_prices import AssetPrices
from chimera_s1.app.capabilities.funding.write_rates import ANNOUNCED_MS
from chimera_s1.domain.funding.amounts import (
    AmountChange,
    AmountReview,
    OtherAccountsAmount,
    review_amount,
)
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord, IncomePart
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingChange, FundingStore, RefusedRecord

SLICE: Final = 500
ATTEMPTS: Final = 3
"""Another instance may write a version of the same record meanwhile."""

FoundParts: TypeAlias = Mapping[SettlementKey, tuple[IncomePart, ...]]


class WriteAmounts:
    """Of one run.

    Args:
        on_dispute: Takes each dispute once.
        on_refused: Takes a record that the store refuses for good.
    """

    def __init__(
        self,
        store: FundingStore,
        prices: AssetPrices,
        read: AmountsRead,
        *,
        now_ms: int,
        on_dispute: Callable[[FundingDispute], None],
        on_refused: Callable[[RefusedRecord], None],
    ) -> None:
        self._store = store
        self._prices = prices
        self._read = read
        self._now_ms = now_ms
        self._on_dispute = on_dispute
        self._on_refused = on_refused
        self._suspects: dict[SettlementKey, FundingDispute] = {}

    @property
    def has_suspects(self) -> bool:
        """Something of the last `write` contradicts a stored amount, and awaits `confirm`."""
        return bool(self._suspects)

    async def write(self, found: FoundParts, final_until: int) -> int | None:
        """Write *found*, all rows of each settlement; up to *final_until* no more are to come.

        Returns the time of the first settlement whose amount is not written; None if all are.
        """
        self._suspects = {}
        missing = [
            key
            for each in _slices(found)
            for key in await self._write_slice(each, found, final_until)
        ]
        return min((key.funding_time for key in missing), default=None)

    async def confirm(self, found: FoundParts, final_until: int) -> bool:
        """Dispute what a second read contradicts in the same way; whether that is all of it."""
        confirmed: list[FundingDispute] = []
        for keys in _slices(self._suspects.keys() & found.keys()):
            records = await self._store.find(keys)
            for key, record in records.items():
                review = self._review(record, found[key], final_until)
                if review == self._suspects[key] and isinstance(review, FundingDispute):
                    confirmed.append(review)
        new = await self._store.dispute(confirmed) if confirmed else ()
        self._read.disputed += len(new)
        for each in new:
            self._on_dispute(each)
        return len(confirmed) == len(self._suspects)

    async def _write_slice(
        self, keys: Collection[SettlementKey], found: FoundParts, final_until: int
    ) -> set[SettlementKey]:
        refused: set[SettlementKey] = set()
        left = set(keys)
        for _ in range(ATTEMPTS):
            changes = await self._changes(await self._store.find(left), found, final_until)
            if not changes:
                return refused
            result = await self._store.write(changes)
            self._read.written += len(result.written)
            self._read.refused += len(result.refused)
            for each in result.refused:
                self._on_refused(each)
            refused |= {each.change.record.key for each in result.refused}
            written = {change.record.key for change in result.written}
            left = {change.record.key for change in changes} - written - refused
            if not left:
                return refused
        self._read.obstacles.append("other instances keep changing the same records")
        return refused | left

    async def _changes(
        self,
        records: Mapping[SettlementKey, FundingRecord],
        found: FoundParts,
        final_until: int,
    ) -> list[FundingChange]:
        changes: list[FundingChange] = []
        for key in sorted(records):
            review = self._review(records[key], found[key], final_until)
            match review:
                case None:
                    pass
                case AmountChange():
                    changes += await self._change(review)
                case FundingDispute():
                    self._suspects[key] = review
                case OtherAccountsAmount():
                    self._read.other_accounts.add(review.account)
                case _:
                    assert_never(review)
        return changes

    def _review(
        self, record: FundingRecord, parts: tuple[IncomePart, ...], final_until: int
    ) -> AmountReview | None:
        return review_amount(
            record,
            self._read.account or "",
            parts,
            final=record.key.funding_time <= final_until,
            now_ms=self._now_ms,
        )

    async def _change(self, change: AmountChange) -> list[FundingChange]:
        time = change.record.key.funding_time
        prices = [await self._prices.find(asset, time) for asset in change.unpriced]
        record = change.priced({each.asset: each for each in prices if each is not None})
        if record is None:
            return []
        return [FundingChange(record, announce=time >= self._now_ms - ANNOUNCED_MS)]


def _slices(keys: Collection[SettlementKey]) -> Iterator[list[SettlementKey]]:
    ordered = sorted(keys)
    return (ordered[at : at + SLICE] for at in range(0, len(ordered), SLICE))
