"""The funding history in ArangoDB.

Announced versions go through a log, so that none is lost and followers see them in order; the
import of old settlements writes records only.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Final

import msgspec
from msgspec import Struct

from chimera_s1.adapters.arango import funding_coverage, funding_disputes, queries
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.dense_log import DenseLog
from chimera_s1.adapters.arango.errors import UnexpectedDocumentError
from chimera_s1.adapters.arango.funding_coverage import AMOUNTS, RATES
from chimera_s1.adapters.arango.layout import (
    FUNDING,
    FUNDING_ANNOUNCEMENTS,
    settlement_key,
    settlement_sort_key,
    time_sort_key,
)
from chimera_s1.adapters.arango.logged_rows import LoggedRows
from chimera_s1.adapters.arango.retrying_requests import BindValue, RetryingRequests
from chimera_s1.adapters.arango.versioned_documents import PutResult, put_newer, version_of
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.daily_sums import DailyFunding, sum_day
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.record_row import FundingRow, parse_exact, record_of, row_of
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import (
    AnnouncedRecord,
    FundingChange,
    RefusedRecord,
    WrittenRecords,
)

RECORDS_PER_REQUEST: Final = 1_000
"""About 0.7 MB."""

_CURSOR: Final = "funding_announcements"
_CURE: Final = "restore it, or delete it and run chimera-s1 funding backfill"


def _row_document(record: FundingRecord) -> Document:
    document: Document = msgspec.to_builtins(row_of(record))
    return document


def _record_from(document: Document) -> FundingRecord:
    """Raises: InvalidValueError: It is damaged."""
    try:
        return record_of(msgspec.convert(document, FundingRow))
    except msgspec.ValidationError as error:
        raise InvalidValueError(str(error)) from error


ANNOUNCEMENTS: Final = DenseLog(
    FUNDING_ANNOUNCEMENTS,
    batch_max=500,
    batches_per_read=2,
    encode=_row_document,
    decode=_record_from,
    time_of=lambda record: record.first_seen_at,
)


class _Day(Struct, frozen=True):
    day: int
    symbol: Symbol
    amounts: list[str | None]


class ArangoFundingStore:
    """Implements `domain.ports.funding_store.FundingStore`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database
        self._announced = LoggedRows(
            database,
            ANNOUNCEMENTS,
            _CURSOR,
            key_of=lambda record: record.key,
            select_newer=_next_versions,
            put_rows=self._put_announced,
            withdraws_refused=True,
        )

    async def find(self, keys: Collection[SettlementKey]) -> Mapping[SettlementKey, FundingRecord]:
        wanted = list(keys)
        found: dict[SettlementKey, FundingRecord] = {}
        for start in range(0, len(wanted), RECORDS_PER_REQUEST):
            some = wanted[start : start + RECORDS_PER_REQUEST]
            found |= await self._database.run_projection(partial(_find, some))
        return found

    async def between(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        after: SettlementKey | None = None,
        limit: int = 1_000,
    ) -> tuple[FundingRecord, ...]:
        binds = _window(start, end, symbol) | {"limit": limit}
        if after is not None:
            binds["after"] = max(str(binds["after"]), settlement_sort_key(after))
        query = queries.FUNDING_PAGE if symbol is None else queries.FUNDING_PAGE_OF_SYMBOL
        return await self._database.run_projection(partial(_select, query, binds))

    async def daily_sums(
        self, start: int, end: int, symbol: Symbol | None = None
    ) -> tuple[DailyFunding, ...]:
        binds = _window(start, end, symbol) | {"day_ms": DAY_MS}
        query = queries.FUNDING_BY_DAY if symbol is None else queries.FUNDING_BY_DAY_OF_SYMBOL
        return await self._database.run_projection(partial(_sum_days, query, binds))

    async def write(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        written: list[FundingChange] = []
        refused: list[RefusedRecord] = []
        for announce, group in groupby(changes, key=lambda change: change.announce):
            write = self._announce if announce else self._import
            result = await write(list(group))
            written += result.written
            refused += result.refused
        return WrittenRecords(tuple(written), tuple(refused))

    async def announced(self, *, after: int = 0, limit: int = 500) -> tuple[AnnouncedRecord, ...]:
        found = await self._announced.read(after, limit)
        return tuple(AnnouncedRecord(*each) for each in found)

    async def forget_announced(self, *, through: int, before: int) -> int:
        work = partial(ANNOUNCEMENTS.forget, through, before)
        return await self._database.run_projection(work)

    async def dispute(self, disputes: Sequence[FundingDispute]) -> tuple[FundingDispute, ...]:
        return await self._database.run_projection(partial(funding_disputes.add, disputes))

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        return await self._database.run_projection(partial(funding_disputes.select, symbol, limit))

    async def coverage(self) -> Mapping[Symbol, RateCoverage]:
        spans = await self._database.run_projection(partial(funding_coverage.select, RATES))
        return {
            Symbol(name): RateCoverage(
                symbol=Symbol(name), verified_from=span.start, verified_through=span.end
            )
            for name, span in spans.items()
        }

    async def extend_coverage(self, coverage: Sequence[RateCoverage]) -> None:
        found = [(str(each.symbol), each.span) for each in coverage]
        await self._database.run_projection(partial(funding_coverage.extend, RATES, found))

    async def amount_coverage(self, account: str) -> AmountCoverage | None:
        span = await self._database.run_projection(partial(funding_coverage.find, AMOUNTS, account))
        if span is None:
            return None
        return AmountCoverage(account=account, verified_from=span.start, verified_through=span.end)

    async def extend_amount_coverage(self, coverage: AmountCoverage) -> None:
        found = [(coverage.account, coverage.span)]
        await self._database.run_projection(partial(funding_coverage.extend, AMOUNTS, found))

    async def _announce(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        given = {id(change.record): change for change in changes}
        result = await self._announced.apply([change.record for change in changes])
        return WrittenRecords(
            tuple(
                given[id(record)] for record in result.logged if record.key not in result.refused
            ),
            tuple(
                RefusedRecord(FundingChange(record, announce=True), reason)
                for record, reason in result.refused.values()
            ),
        )

    async def _import(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        written: list[FundingChange] = []
        refused: list[RefusedRecord] = []
        for some in _requests_of(changes):
            records = [change.record for change in some]
            results = await self._database.run_projection(partial(_put_next, records))
            for change, result in zip(some, results, strict=True):
                if result.written:
                    written.append(change)
                elif result.refused:
                    refused.append(RefusedRecord(change, result.refused))
        return WrittenRecords(tuple(written), tuple(refused))

    async def _put_announced(self, records: Sequence[FundingRecord]) -> list[str]:
        reasons: list[str] = []
        for start in range(0, len(records), RECORDS_PER_REQUEST):
            some = records[start : start + RECORDS_PER_REQUEST]
            results = await self._database.run_projection(partial(_put_records, some))
            reasons += [result.refused for result in results]
        return reasons


def _requests_of(changes: Sequence[FundingChange]) -> list[list[FundingChange]]:
    """Parts of *changes* in their order; no part has two versions of one record."""
    parts: list[list[FundingChange]] = [[]]
    keys: set[SettlementKey] = set()
    for change in changes:
        if change.record.key in keys or len(keys) == RECORDS_PER_REQUEST:
            parts.append([])
            keys.clear()
        parts[-1].append(change)
        keys.add(change.record.key)
    return parts


def _put_next(records: Sequence[FundingRecord], requests: RetryingRequests) -> list[PutResult]:
    """A first version needs no read: the server keeps what is stored."""
    later = [record for record in records if record.version != 1]
    allowed = {record.key for record in _next_versions(later, (), "", requests)}
    some = [record for record in records if record.version == 1 or record.key in allowed]
    results = {
        record.key: result
        for record, result in zip(some, _put_records(some, requests), strict=True)
    }
    return [results.get(record.key, PutResult(written=False)) for record in records]


def _next_versions(
    records: Sequence[FundingRecord],
    _without_row: Sequence[FundingRecord],
    must_have_seen: str,
    requests: RetryingRequests,
) -> list[FundingRecord]:
    """Those whose version is one above the stored one, in the order in which they are given."""
    if not records:
        return []
    keys = list(dict.fromkeys(record.key for record in records))
    stored = requests.find_documents(FUNDING, list(map(settlement_key, keys)), must_have_seen)
    versions = dict(zip(keys, map(version_of, stored), strict=True))
    found: list[FundingRecord] = []
    for record in records:
        if record.version == versions[record.key] + 1:
            versions[record.key] = record.version
            found.append(record)
    return found


def _put_records(records: Sequence[FundingRecord], requests: RetryingRequests) -> list[PutResult]:
    return put_newer(FUNDING, list(map(_record_document, records)), requests)


def _record_document(record: FundingRecord) -> Document:
    return {
        **_row_document(record),
        "_key": settlement_key(record.key),
        "place": settlement_sort_key(record.key),
    }


def _find(
    keys: Sequence[SettlementKey], requests: RetryingRequests
) -> dict[SettlementKey, FundingRecord]:
    stored = requests.find_documents(FUNDING, list(map(settlement_key, keys)))
    return {
        key: _record(document)
        for key, document in zip(keys, stored, strict=True)
        if document is not None
    }


def _window(start: int, end: int, symbol: Symbol | None) -> dict[str, BindValue]:
    binds: dict[str, BindValue] = {
        "@records": FUNDING,
        "after": time_sort_key(start),
        "before": time_sort_key(end + 1),
    }
    return binds if symbol is None else binds | {"symbol": symbol}


def _select(
    query: str, binds: Mapping[str, BindValue], requests: RetryingRequests
) -> tuple[FundingRecord, ...]:
    return tuple(map(_record, requests.query(query, binds, Document, RECORDS_PER_REQUEST)))


def _sum_days(
    query: str, binds: Mapping[str, BindValue], requests: RetryingRequests
) -> tuple[DailyFunding, ...]:
    found = requests.query(query, binds, _Day, RECORDS_PER_REQUEST)
    sums = [sum_day(each.day * DAY_MS, each.symbol, _exact_amounts(each)) for each in found]
    return tuple(sorted(sums, key=lambda each: (each.day, each.symbol)))


def _exact_amounts(day: _Day) -> list[Decimal | None]:
    try:
        return [None if text is None else parse_exact(text) for text in day.amounts]
    except InvalidValueError as error:
        raise UnexpectedDocumentError(
            f"has a damaged document of {day.symbol} in {FUNDING} ({error})", cure=_CURE
        ) from error


def _record(document: Document) -> FundingRecord:
    try:
        return _record_from(document)
    except InvalidValueError as error:
        what = f"has a damaged document {FUNDING}/{document['_key']} ({error})"
        raise UnexpectedDocumentError(what, cure=_CURE) from error
