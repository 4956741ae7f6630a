"""A funding store in memory, whose calls can be made to fail."""

from collections.abc import Collection, Mapping, Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_store import (
    AnnouncedRecord,
    FundingChange,
    RefusedRecord,
    WrittenRecords,
)


class FakeFundingStore:
    """Attributes:
    unavailable: While not empty, each call raises `StoreUnavailableError` with this text.
    refused: Symbols whose records the store refuses for good.
    """

    def __init__(self, position_step: int = 1) -> None:
        """Positions of announced records are *position_step* apart; stores may leave gaps."""
        self.unavailable = ""
        self.refused: set[Symbol] = set()
        self.records: dict[SettlementKey, FundingRecord] = {}
        self._position_step = position_step
        self._announced: list[FundingRecord] = []
        self._disputes: dict[tuple[SettlementKey, str, str], FundingDispute] = {}
        self._coverage: dict[Symbol, RateCoverage] = {}
        self._amounts: dict[str, AmountCoverage] = {}

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
        found = (
            record
            for key, record in sorted(self.records.items())
            if start <= key.funding_time <= end
            and symbol in {None, key.symbol}
            and (after is None or key > after)
        )
        return tuple(found)[:limit]

    async def write(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        await self._check()
        written: list[FundingChange] = []
        refused: list[RefusedRecord] = []
        for change in changes:
            record = change.record
            stored = self.records.get(record.key)
            if record.version != (stored.version if stored else 0) + 1:
                continue
            if record.key.symbol in self.refused:
                refused.append(RefusedRecord(change, "refused by this test"))
                continue
            if change.announce:
                self._announced.append(record)
            self.records[record.key] = record
            written.append(change)
        return WrittenRecords(tuple(written), tuple(refused))

    async def announced(self, *, after: int = 0, limit: int = 500) -> tuple[AnnouncedRecord, ...]:
        await self._check()
        numbered = (
            AnnouncedRecord(number * self._position_step, record)
            for number, record in enumerate(self._announced, start=1)
        )
        return tuple(each for each in numbered if each.position > after)[:limit]

    async def dispute(self, disputes: Sequence[FundingDispute]) -> tuple[FundingDispute, ...]:
        await self._check()
        new: list[FundingDispute] = []
        for each in disputes:
            name = (each.key, each.field, each.content_hash)
            if name not in self._disputes:
                self._disputes[name] = each
                new.append(each)
        return tuple(new)

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        await self._check()
        found = [each for each in self._disputes.values() if symbol in {None, each.key.symbol}]
        return tuple(sorted(found, key=lambda each: each.key, reverse=True))[:limit]

    async def coverage(self) -> Mapping[Symbol, RateCoverage]:
        await self._check()
        return dict(self._coverage)

    async def extend_coverage(self, coverage: Sequence[RateCoverage]) -> None:
        await self._check()
        for each in coverage:
            stored = self._coverage.get(each.symbol)
            span = _united(_span(stored), (each.verified_from, each.verified_through))
            self._coverage[each.symbol] = RateCoverage(
                symbol=each.symbol, verified_from=span[0], verified_through=span[1]
            )

    async def amount_coverage(self, account: str) -> AmountCoverage | None:
        await self._check()
        return self._amounts.get(account)

    async def extend_amount_coverage(self, coverage: AmountCoverage) -> None:
        await self._check()
        stored = self._amounts.get(coverage.account)
        span = _united(_span(stored), (coverage.verified_from, coverage.verified_through))
        self._amounts[coverage.account] = AmountCoverage(
            account=coverage.account, verified_from=span[0], verified_through=span[1]
        )

    async def _check(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError(self.unavailable)


def _span(stored: RateCoverage | AmountCoverage | None) -> tuple[int, int] | None:
    return (stored.verified_from, stored.verified_through) if stored else None


def _united(stored: tuple[int, int] | None, new: tuple[int, int]) -> tuple[int, int]:
    if stored is None:
        return new
    if new[0] <= stored[1] + 1 and stored[0] <= new[1] + 1:
        return min(stored[0], new[0]), max(stored[1], new[1])
    return max(stored, new, key=lambda span: span[1])
