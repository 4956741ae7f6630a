"""A funding store in memory, which can be made to fail."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.coverage_union import extend_span
from chimera_s1.domain.funding.daily_sums import DailyFunding, sum_day
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import (
    AnnouncedRecord,
    FundingChange,
    RefusedRecord,
    WrittenRecords,
)


class FakeFundingStore:
    """Attributes:
    unavailable: While not empty, each call raises `StoreUnavailableError` with this text.

    unforgettable: As `unavailable`, of `forget_announced` only.

    fails_after: The next `write` writes this many changes and then raises; None does not.

    refused: Settlements whose records the store refuses for good.

    records: All that is stored.
    """

    def __init__(self, position_step: int = 1) -> None:
        """Positions of announcements are *position_step* apart; ArangoDB leaves gaps, too."""
        self._position_step = position_step
        self.unavailable = ""
        self.unforgettable = ""
        self.fails_after: int | None = None
        self.refused: set[SettlementKey] = set()
        self.records: dict[SettlementKey, FundingRecord] = {}
        self._announced: list[FundingRecord] = []
        self._forgotten = 0
        self._disputes: dict[tuple[SettlementKey, str, str], FundingDispute] = {}
        self._rate_spans: dict[Symbol, Window] = {}
        self._amount_spans: dict[str, Window] = {}

    async def find(self, keys: Collection[SettlementKey]) -> Mapping[SettlementKey, FundingRecord]:
        await self._check()
        return {key: self.records[key] for key in keys if key in self.records}

    async def between(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        after: SettlementKey | None = None,
        limit: int = 1_000,
    ) -> tuple[FundingRecord, ...]:
        await self._check()
        found = [each for each in self._in_window(start, end, symbol) if not after or each > after]
        return tuple(self.records[key] for key in found[:limit])

    async def daily_sums(
        self, start: int, end: int, symbol: Symbol | None = None
    ) -> tuple[DailyFunding, ...]:
        await self._check()
        days: dict[tuple[int, Symbol], list[Decimal | None]] = {}
        for key in self._in_window(start, end, symbol):
            day = key.funding_time // DAY_MS * DAY_MS
            amount = self.records[key].amount
            usdt = None if amount is None else amount.amount_usdt
            days.setdefault((day, key.symbol), []).append(usdt)
        return tuple(sum_day(*day, amounts) for day, amounts in sorted(days.items()))

    async def write(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        await self._check()
        written: list[FundingChange] = []
        refused: list[RefusedRecord] = []
        for change in changes:
            record = change.record
            stored = self.records.get(record.key)
            if record.version != (stored.version if stored else 0) + 1:
                continue
            if record.key in self.refused:
                refused.append(RefusedRecord(change, "refused by this test"))
                continue
            if self.fails_after == len(written):
                self.fails_after = None
                raise StoreUnavailableError("the store failed in the middle of a call")
            if change.announce:
                self._announced.append(record)
            self.records[record.key] = record
            written.append(change)
        return WrittenRecords(tuple(written), tuple(refused))

    async def announced(self, *, after: int = 0, limit: int = 500) -> tuple[AnnouncedRecord, ...]:
        await self._check()
        found = [
            AnnouncedRecord(position, record)
            for number, record in enumerate(self._announced, start=self._forgotten + 1)
            if (position := number * self._position_step) > after
        ]
        return tuple(found[:limit])

    async def forget_announced(self, *, through: int, before: int) -> int:
        await self._check()
        if self.unforgettable:
            raise StoreUnavailableError(self.unforgettable)
        number = 0
        for each in await self.announced(limit=len(self._announced)):
            if each.position > through or each.record.first_seen_at >= before:
                break
            number += 1
        self._forgotten += number
        del self._announced[:number]
        return number

    async def dispute(self, disputes: Sequence[FundingDispute]) -> tuple[FundingDispute, ...]:
        await self._check()
        new: list[FundingDispute] = []
        for each in disputes:
            identity = (each.key, each.field, each.content_hash)
            if identity not in self._disputes:
                self._disputes[identity] = each
                new.append(each)
        return tuple(new)

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        await self._check()
        found = [
            dispute
            for (key, *_), dispute in sorted(self._disputes.items(), reverse=True)
            if symbol in {None, key.symbol}
        ]
        return tuple(found[:limit])

    async def coverage(self) -> Mapping[Symbol, RateCoverage]:
        await self._check()
        return {
            symbol: RateCoverage(symbol=symbol, verified_from=span.start, verified_through=span.end)
            for symbol, span in self._rate_spans.items()
        }

    async def extend_coverage(self, coverage: Sequence[RateCoverage]) -> None:
        await self._check()
        for each in coverage:
            stored = self._rate_spans.get(each.symbol)
            self._rate_spans[each.symbol] = extend_span(stored, each.span)

    def forget_coverage(self) -> None:
        self._rate_spans.clear()

    async def amount_coverage(self, account: str) -> AmountCoverage | None:
        await self._check()
        span = self._amount_spans.get(account)
        if span is None:
            return None
        return AmountCoverage(account=account, verified_from=span.start, verified_through=span.end)

    async def extend_amount_coverage(self, coverage: AmountCoverage) -> None:
        await self._check()
        stored = self._amount_spans.get(coverage.account)
        self._amount_spans[coverage.account] = extend_span(stored, coverage.span)

    def _in_window(self, start: int, end: int, symbol: Symbol | None) -> list[SettlementKey]:
        return sorted(
            key
            for key in self.records
            if start <= key.funding_time <= end and symbol in {None, key.symbol}
        )

    async def _check(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError(self.unavailable)
