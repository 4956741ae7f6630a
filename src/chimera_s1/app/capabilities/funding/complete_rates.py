"""Bring the stored funding rates in line with the exchange's own history."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct, structs

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.funding.compare_history import (
    DerivedFacts,
    HistoryComparison,
    UnfinishedHours,
    withdrawal,
)
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.coverage_union import Span, extend_span, is_progress
from chimera_s1.domain.funding.gaps import typical_through
from chimera_s1.domain.funding.history_pages import (
    HistoryBatch,
    HistoryPageError,
    HistoryPages,
    HistoryRead,
)
from chimera_s1.domain.funding.history_proof import (
    PUBLICATION_TAIL_MS,
    HistoryProof,
    RegularTimes,
)
from chimera_s1.domain.funding.read_order import PART_MS, Window, read_order
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import (
    HOUR_MS,
    INTERVAL_MAX_H,
    ContractFacts,
    is_regular,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_source import FundingSource, RatePage
from chimera_s1.domain.ports.funding_store import (
    FundingChange,
    FundingStore,
    RefusedRecord,
    WrittenRecords,
)

ANNOUNCED_MS: Final = 8 * 24 * HOUR_MS
"""An older settlement is stored without an event."""

SLICE: Final = 1_000
SHORT_MS: Final = 12 * HOUR_MS
"""The end of a longer window is worth a request of its own."""

WITHDRAWN_MAX: Final = 20
"""More contracts than this do not lose stored settlements at once: the reply is wrong."""

LEAD_MS: Final = (INTERVAL_MAX_H + 1) * HOUR_MS
"""Settlements this long before a window make the intervals of its first ones known."""

_log = logging.getLogger(__name__)


class RatesRead(Struct, frozen=True, kw_only=True):
    """What a read of the exchange's history has done; of an unfinished one, so far.

    Attributes:
        rows: Read; where windows and pages meet, some count twice.
        new, completed: Records that this call has written.
        disputed: Rows that contradict a stored record and had not been reported.
        refused: Records that the store refuses for good.
        unusable: Rows that cannot be read.
        proven_through: Of most contracts, epoch ms; None if nothing is proven.
    """

    requests: int = 0
    rows: int = 0
    new: int = 0
    completed: int = 0
    disputed: int = 0
    refused: int = 0
    unusable: int = 0
    proven_through: int | None = None


def _ignore(_: object) -> None:
    pass


class CompleteRates:
    """Reads windows of the history page by page. Each page is compared and written at once, then
    what it proves; so an interrupted read has lost nothing that it wrote.

    Args:
        exchange_ms: The exchange's time, epoch ms; 0 while it is not known.
        contracts: What is known of the listed contracts, by symbol.
        last_estimate: As `EstimateReader`.
        on_dispute: Takes each dispute once.
        on_refused: Takes a record that the store refuses for good.
    """

    def __init__(
        self,
        source: FundingSource,
        store: FundingStore,
        *,
        exchange_ms: Callable[[], int],
        contracts: Callable[[], Mapping[Symbol, ContractFacts]],
        last_estimate: Callable[[Symbol, int], str],
        on_dispute: Callable[[FundingDispute], None],
        on_refused: Callable[[RefusedRecord], None],
        tail_ms: int = PUBLICATION_TAIL_MS,
        part_ms: int = PART_MS,
    ) -> None:
        self._source = source
        self._store = store
        self._exchange_ms = exchange_ms
        self._contracts = contracts
        self._last_estimate = last_estimate
        self._on_dispute = on_dispute
        self._on_refused = on_refused
        self._tail_ms = tail_ms
        self._part_ms = part_ms

    async def complete(
        self,
        start: int,
        end: int,
        symbol: Symbol | None = None,
        *,
        progress: Callable[[RatesRead], None] = _ignore,
    ) -> RatesRead:
        """Read *start* to *end*, both included; without *symbol*, of all contracts.

        Raises:
            ExchangeUnavailableError, ExchangeRefusedError, StoreUnavailableError: What was read
                before is stored, and as far as it is proven, said to be.
        """
        exchange_ms = self._exchange_ms()
        if not exchange_ms:
            raise ExchangeUnavailableError(
                "the exchange's time is not known yet, so no funding history can be proven"
            )
        coverage = await self._store.coverage()
        if symbol is not None:
            coverage = {each: span for each, span in coverage.items() if each == symbol}
        contracts = self._contracts()
        read = _Read(exchange_ms, contracts, coverage, progress)
        read.confirms_end = end - start > SHORT_MS
        for window in read_order(start, end, coverage, self._part_ms):
            late = await self._read_window(window, symbol, read, coverage)
            for each in sorted(late):
                await self._read_window(window, each, read, coverage)
        return read.result

    async def _read_window(
        self,
        window: Window,
        symbol: Symbol | None,
        read: "_Read",
        coverage: Mapping[Symbol, RateCoverage],
    ) -> set[Symbol]:
        """Contracts whose rows of this window may not all be read."""
        times = RegularTimes()
        start = window.start
        if _is_proven(Window(start - LEAD_MS, start - 1), coverage):
            async for records in self._stored(start - LEAD_MS, start - 1, symbol):
                for record in records:
                    times.see(record.key)
        else:
            start = max(0, start - LEAD_MS)  # read, too
        pages = HistoryPages(
            start,
            window.end,
            symbol=symbol,
            known=read.symbols,
            confirms_end=read.confirms_end,
        )
        proof = HistoryProof(
            start,
            exchange_ms=read.exchange_ms,
            contracts=read.contracts,
            symbols=read.symbols if symbol is None else [symbol],
            known_from=min(start, max(0, window.start - LEAD_MS)),
            times=times,
            tail_ms=self._tail_ms,
        )
        unfinished = UnfinishedHours(start)
        while (request := pages.next_read) is not None:
            page = await self._page(request, symbol)
            read.add(requests=1, rows=len(page.rows), unusable=len(page.unusable))
            unusable_of = page.unusable_of if page.unusable else frozenset()
            batch = pages.take(page.rows, is_full=page.is_full, unusable_of=unusable_of)
            if batch is not None:
                read.symbols.update(row.key.symbol for row in batch.rows)
                comparison = HistoryComparison(
                    batch,
                    unfinished,
                    derived=self._derived_facts(_intervals(batch, times)),
                    final_until=proof.bound,
                    now_ms=self._exchange_ms(),
                )
                not_stored = await self._store_batch(batch, symbol, comparison, read)
                unfinished = comparison.unfinished
                await self._extend_coverage(proof.take(batch, not_stored), read)
            read.report()
        return proof.late

    async def _page(self, request: HistoryRead, symbol: Symbol | None) -> RatePage:
        try:
            return await self._source.rates(request.start, request.end, request.symbol)
        except ExchangeRefusedError as error:
            if request.symbol is None or symbol is not None:
                raise
            # One of many contracts, read one by one: the others are proven without it.
            reason = f"{request.symbol}: {error}"
            return RatePage((), (reason,), is_full=False, unusable_of=frozenset({request.symbol}))

    async def _store_batch(
        self,
        batch: HistoryBatch,
        symbol: Symbol | None,
        comparison: HistoryComparison,
        read: "_Read",
    ) -> set[Symbol]:
        """The contracts with a record that the store refuses for good."""
        refused: set[Symbol] = set()
        # A settlement may have moved within its full hour.
        margin = HOUR_MS // 2
        async for records in self._stored(batch.start - margin, batch.end + margin, symbol):
            versions, disputes = comparison.take(records)
            refused |= await self._write(versions, disputes, read, records)
        new, disputes = comparison.conclude()
        refused |= await self._write(new, disputes, read, ())
        if comparison.withdrawn:
            await self._dispute_withdrawn(comparison.withdrawn, read)
        return refused

    async def _dispute_withdrawn(self, records: Sequence[FundingRecord], read: "_Read") -> None:
        """After another read that does not have them either."""
        by_symbol: dict[Symbol, list[FundingRecord]] = {}
        for record in records:
            by_symbol.setdefault(record.key.symbol, []).append(record)
        if len(by_symbol) > WITHDRAWN_MAX:
            raise HistoryPageError(
                f"fundingRate lacks settlements of {len(by_symbol)} contracts that are stored, "
                f"{records[0].key.symbol} at {records[0].key.funding_time} for example; the reply "
                "may have been cut short"
            )
        for symbol, stored in by_symbol.items():
            first, last = stored[0].key.funding_time, stored[-1].key.funding_time
            page = await self._source.rates(first, last, symbol)
            read.add(requests=1)
            back = {row.key for row in page.rows} & {record.key for record in stored}
            if back or page.unusable or page.is_full:
                raise HistoryPageError(
                    f"fundingRate of all contracts lacks a settlement of {symbol} between {first} "
                    f"and {last} that a read of {symbol} may have; reading it again helps"
                )
        now_ms = self._exchange_ms()
        await self._write((), [withdrawal(record, now_ms) for record in records], read, ())

    async def _extend_coverage(self, proven: Sequence[RateCoverage], read: "_Read") -> None:
        progress = [
            each for each in proven if is_progress(read.spans.get(each.symbol), _span(each))
        ]
        if progress:
            await self._store.extend_coverage(progress)
            read.prove(progress)

    async def _write(
        self,
        records: Sequence[FundingRecord],
        disputes: Sequence[FundingDispute],
        read: "_Read",
        stored: Iterable[FundingRecord],
    ) -> set[Symbol]:
        """The contracts with a record that the store refuses for good."""
        written = WrittenRecords()
        if records:
            before = {record.key: record for record in stored}
            changes = [self._change(each, before.get(each.key), read) for each in records]
            written = await self._store.write(changes)
        new = sum(change.record.version == 1 for change in written.written)
        unreported = await self._store.dispute(disputes) if disputes else ()
        read.add(
            new=new,
            completed=len(written.written) - new,
            disputed=len(unreported),
            refused=len(written.refused),
        )
        for dispute in unreported:
            self._on_dispute(dispute)
        for refused in written.refused:
            self._on_refused(refused)
        return {refused.change.record.key.symbol for refused in written.refused}

    def _change(
        self, record: FundingRecord, before: FundingRecord | None, read: "_Read"
    ) -> FundingChange:
        """Announced if it is recent and its event says something new."""
        is_recent = record.key.funding_time >= read.exchange_ms - ANNOUNCED_MS
        is_news = before is None or before.rate_est != record.rate_est
        return FundingChange(record, announce=is_recent and is_news)

    def _derived_facts(
        self, intervals: Mapping[SettlementKey, int]
    ) -> Callable[[Settlement], DerivedFacts]:
        def derived(row: Settlement) -> DerivedFacts:
            symbol, time = row.key.symbol, row.key.funding_time
            estimate = self._last_estimate(symbol, time) if is_regular(row.key) else ""
            rate_est = Decimal(estimate) if estimate else None
            return DerivedFacts(interval_h=intervals.get(row.key), rate_est=rate_est)

        return derived

    async def _stored(
        self, start: int, end: int, symbol: Symbol | None
    ) -> AsyncIterator[tuple[FundingRecord, ...]]:
        after: SettlementKey | None = None
        while True:
            records = await self._store.between(start, end, symbol=symbol, after=after, limit=SLICE)
            if records:
                yield records
            if len(records) < SLICE:
                return
            after = records[-1].key


class _Read:
    """The state of one call."""

    def __init__(
        self,
        exchange_ms: int,
        contracts: Mapping[Symbol, ContractFacts],
        coverage: Mapping[Symbol, RateCoverage],
        progress: Callable[[RatesRead], None],
    ) -> None:
        self.exchange_ms = exchange_ms
        self.contracts = contracts
        self.symbols = {*contracts, *coverage}
        self.spans = {symbol: _span(each) for symbol, each in coverage.items()}
        self.confirms_end = True
        self.result = RatesRead()
        self._progress = progress

    def add(self, **counts: int) -> None:
        changed = {name: getattr(self.result, name) + n for name, n in counts.items()}
        self.result = structs.replace(self.result, **changed)

    def prove(self, proven: Sequence[RateCoverage]) -> None:
        for each in proven:
            self.spans[each.symbol] = extend_span(self.spans.get(each.symbol), _span(each))
        through = typical_through({each.symbol: each for each in proven})
        latest = max(through or 0, self.result.proven_through or 0)
        self.result = structs.replace(self.result, proven_through=latest)

    def report(self) -> None:
        self._progress(self.result)


def _span(coverage: RateCoverage) -> Span:
    return Span(coverage.verified_from, coverage.verified_through)


def _intervals(batch: HistoryBatch, times: RegularTimes) -> dict[SettlementKey, int]:
    """Of rows whose settlement before is known."""
    times.forget(batch.unproven)
    known: dict[SettlementKey, int] = {}
    for row in batch.rows:
        interval_h = times.see(row.key)
        is_proven = batch.unproven is not None and row.key.symbol not in batch.unproven
        if interval_h is not None and is_proven:
            known[row.key] = interval_h
    times.forget(batch.unproven)
    return known


def _is_proven(window: Window, coverage: Mapping[Symbol, RateCoverage]) -> bool:
    """Of most contracts."""
    proven = sum(
        span.verified_from <= window.start and window.end <= span.verified_through
        for span in coverage.values()
    )
    return bool(coverage) and proven * 2 > len(coverage)
