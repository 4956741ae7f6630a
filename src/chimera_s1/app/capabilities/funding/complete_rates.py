"""Bring the stored funding rates in line with the exchange's own history."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from chimera_s1.app.capabilities.funding.rates_read import RatesProgress, RatesRead
from chimera_s1.app.capabilities.funding.record_pages import RecordPages
from chimera_s1.app.capabilities.funding.write_rates import WriteRates
from chimera_s1.domain.errors import ExchangeRefusedError
from chimera_s1.domain.funding.compare_history import (
    DerivedFacts,
    HistoryComparison,
    UnfinishedHours,
)
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.history_pages import (
    HistoryBatch,
    HistoryPages,
    HistoryRead,
)
from chimera_s1.domain.funding.history_proof import (
    PUBLICATION_TAIL_MS,
    HistoryProof,
    RegularTimes,
)
from chimera_s1.domain.funding.reading_windows import PART_MS, read_order
from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.funding.settlement import Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import INTERVAL_MAX_H, ContractFacts, is_regular
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.ports.funding_source import FundingSource, RatePage
from chimera_s1.domain.ports.funding_store import (
    FundingStore,
    RefusedRecord,
)

SHORT_MS: Final = 12 * HOUR_MS
"""The end of a longer window is worth a request of its own."""

LEAD_MS: Final = (INTERVAL_MAX_H + 1) * HOUR_MS
"""Settlements this long before a window make the intervals of its first ones known."""


def _ignore(_: object) -> None:
    pass


class CompleteRates:
    """Reads windows of the history page by page. Each page is compared and written at once, then
    what it proves; so an interrupted read has lost nothing that it wrote.

    Args:
        exchange_ms: The exchange's time, epoch ms; raises ClockUncertainError.
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
        self._writer = WriteRates(
            source,
            store,
            exchange_ms=exchange_ms,
            on_dispute=on_dispute,
            on_refused=on_refused,
        )
        self._tail_ms = tail_ms
        self._part_ms = part_ms

    async def complete(
        self,
        start: int,
        end: int,
        symbol: Symbol | None = None,
        *,
        kept_from: int = 0,
        progress: Callable[[RatesRead], None] = _ignore,
    ) -> RatesRead:
        """Read *start* to *end*, both included; without *symbol*, of all contracts. A proof that
        ends before *kept_from* is worth nothing, so what is read replaces it.

        Raises:
            ExchangeUnavailableError, ExchangeRefusedError, StoreUnavailableError: What was read
                before is stored, and as far as it is proven, said to be.
        """
        exchange_ms = self._exchange_ms()
        coverage = await self._store.coverage()
        if symbol is not None:
            coverage = {each: span for each, span in coverage.items() if each == symbol}
        contracts = self._contracts()
        read = RatesProgress(exchange_ms, contracts, coverage, progress, kept_from)
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
        read: RatesProgress,
        coverage: Mapping[Symbol, RateCoverage],
    ) -> set[Symbol]:
        """Contracts whose rows of this window may not all be read."""
        times = RegularTimes()
        start = window.start
        if _is_proven(Window(start - LEAD_MS, start - 1), coverage):
            await self._see_stored(Window(start - LEAD_MS, start - 1), symbol, times)
        else:
            start = max(0, start - LEAD_MS)  # read, too
        pages = HistoryPages(
            start,
            window.end,
            symbol=symbol,
            known=read.symbols,
            confirms_end=read.confirms_end,
        )
        # Not of what leads to the window: its first intervals are not known yet.
        proof = HistoryProof(
            window.start,
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
            batch = pages.take(page.rows, is_full=page.is_full, unusable_of=page.unusable_of)
            if batch is not None:
                read.symbols.update(row.key.symbol for row in batch.rows)
                comparison = HistoryComparison(
                    batch,
                    unfinished,
                    derived=self._derived_facts(_intervals(batch, times)),
                    final_until=proof.bound,
                    now_ms=self._exchange_ms(),
                )
                not_stored = await self._writer.store(batch, symbol, comparison, read)
                unfinished = comparison.unfinished
                await self._writer.extend_coverage(proof.take(batch, not_stored), read)
            read.report()
        return proof.late

    async def _see_stored(self, window: Window, symbol: Symbol | None, times: RegularTimes) -> None:
        async for records in RecordPages(self._store, window, symbol):
            for record in records:
                times.see(record.key)

    async def _page(self, request: HistoryRead, symbol: Symbol | None) -> RatePage:
        try:
            return await self._source.rates(request.start, request.end, request.symbol)
        except ExchangeRefusedError as error:
            if request.symbol is None or symbol is not None:
                raise
            # One of many contracts, read one by one: the others are proven without it.
            reason = f"{request.symbol}: {error}"
            return RatePage((), (reason,), is_full=False, unusable_of=frozenset({request.symbol}))

    def _derived_facts(
        self, intervals: Mapping[SettlementKey, int]
    ) -> Callable[[Settlement], DerivedFacts]:
        def derived(row: Settlement) -> DerivedFacts:
            symbol, time = row.key.symbol, row.key.funding_time
            estimate = self._last_estimate(symbol, time) if is_regular(row.key) else ""
            rate_est = Decimal(estimate) if estimate else None
            return DerivedFacts(interval_h=intervals.get(row.key), rate_est=rate_est)

        return derived


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
