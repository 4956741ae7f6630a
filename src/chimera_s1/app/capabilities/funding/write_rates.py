"""Write what a batch of the exchange's funding history changes in the stored one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from chimera_s1.app.capabilities.funding.rates_read import RatesProgress
from chimera_s1.app.capabilities.funding.record_pages import RecordPages
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.funding.compare_history import HistoryComparison, withdrawal
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.history_pages import HistoryBatch, HistoryPageError
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from chimera_s1.domain.ports.funding_source import FundingSource
from chimera_s1.domain.ports.funding_store import (
    FundingChange,
    FundingStore,
    RefusedRecord,
    WrittenRecords,
)

ANNOUNCED_MS: Final = 8 * DAY_MS
"""An older settlement is stored without an event."""

WITHDRAWN_MAX: Final = 20
"""More contracts than this do not lose stored settlements at once: the reply is wrong."""


class WriteRates:
    """Args:
    source: Confirms that a settlement has gone.
    exchange_ms: The exchange's time, epoch ms.
    on_dispute, on_refused: As of `CompleteRates`.
    """

    def __init__(
        self,
        source: FundingSource,
        store: FundingStore,
        *,
        exchange_ms: Callable[[], int],
        on_dispute: Callable[[FundingDispute], None],
        on_refused: Callable[[RefusedRecord], None],
    ) -> None:
        self._source = source
        self._store = store
        self._exchange_ms = exchange_ms
        self._on_dispute = on_dispute
        self._on_refused = on_refused

    async def store(
        self,
        batch: HistoryBatch,
        symbol: Symbol | None,
        comparison: HistoryComparison,
        read: RatesProgress,
    ) -> set[Symbol]:
        """The contracts with a record that the store refuses for good."""
        refused: set[Symbol] = set()
        # A settlement may have moved within its full hour.
        margin = HOUR_MS // 2
        window = Window(batch.start - margin, batch.end + margin)
        async for records in RecordPages(self._store, window, symbol):
            versions, disputes = comparison.take(records)
            refused |= await self._write(versions, disputes, read, records)
        new, disputes = comparison.conclude()
        refused |= await self._write(new, disputes, read, ())
        if comparison.withdrawn:
            await self._dispute_withdrawn(comparison.withdrawn, read)
        return refused

    async def _dispute_withdrawn(
        self, records: Sequence[FundingRecord], read: RatesProgress
    ) -> None:
        """After another read that does not have them either."""
        by_symbol: dict[Symbol, list[FundingRecord]] = {}
        for record in records:
            by_symbol.setdefault(record.key.symbol, []).append(record)
        if len(by_symbol) > WITHDRAWN_MAX:
            raise HistoryPageError(
                f"fundingRate lacks settlements of {len(by_symbol)} contracts that are stored, "
                f"{records[0].key.symbol} at {format_utc(records[0].key.funding_time)} for "
                "example; the reply may have been cut short, so the next run reads it again"
            )
        for symbol, stored in by_symbol.items():
            first, last = stored[0].key.funding_time, stored[-1].key.funding_time
            page = await self._source.rates(first, last, symbol)
            read.add(requests=1)
            back = {row.key for row in page.rows} & {record.key for record in stored}
            if back or page.unusable or page.is_full:
                raise HistoryPageError(
                    f"fundingRate of all contracts lacks a settlement of {symbol} between "
                    f"{format_utc(first)} and {format_utc(last)} that a read of {symbol} may "
                    "have; the next run reads it again"
                )
        now_ms = self._exchange_ms()
        await self._write((), [withdrawal(record, now_ms) for record in records], read, ())

    async def extend_coverage(self, proven: Sequence[RateCoverage], read: RatesProgress) -> None:
        """As far as it is new."""
        new = read.new_proof(proven)
        if new:
            await self._store.extend_coverage(new)
            read.prove(new)

    async def _write(
        self,
        records: Sequence[FundingRecord],
        disputes: Sequence[FundingDispute],
        read: RatesProgress,
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
        self, record: FundingRecord, before: FundingRecord | None, read: RatesProgress
    ) -> FundingChange:
        """Announced if it is recent and its event says something new."""
        is_recent = record.key.funding_time >= read.exchange_ms - ANNOUNCED_MS
        is_news = before is None or before.rate_est != record.rate_est
        return FundingChange(record, announce=is_recent and is_news)
