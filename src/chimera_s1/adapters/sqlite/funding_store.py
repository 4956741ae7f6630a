"""The funding history in SQLite: a record and its announcement are written in one transaction."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import takewhile
from typing import Final

import msgspec

from chimera_s1.adapters.sqlite.database import SqliteAccess
from chimera_s1.domain.errors import InvalidValueError, StoreUnavailableError
from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.coverage_union import extend_span
from chimera_s1.domain.funding.daily_sums import DailyFunding, sum_day
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.record_row import FundingRow, parse_exact, record_of, row_of
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

CHANGES_PER_TRANSACTION: Final = 500
"""So that an import does not keep the ledger from writing."""

_RATES, _AMOUNTS = "rates", "amounts"
_NAMES: Final = FundingRow.__struct_fields__
_NESTED: Final = ("parts", "conversions")
assert _NAMES[-2:] == _NESTED, "their values are encoded"
_COLUMNS: Final = ", ".join(_NAMES)
_PLACEHOLDERS: Final = ", ".join(f"?{n}" for n in range(1, len(_NAMES) + 1))
# No SQL injection: the names are the fields of FundingRow.
_KEY_OF_ROW: Final = " AND ".join(
    f"{name} = ?{_NAMES.index(name) + 1}" for name in ("funding_time", "symbol", "rate_type")
)
_INSERT: Final = (
    f"INSERT INTO funding_records ({_COLUMNS}) VALUES ({_PLACEHOLDERS}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_REPLACE: Final = (
    f"UPDATE funding_records SET ({_COLUMNS}) = ({_PLACEHOLDERS}) "  # noqa: S608
    f"WHERE {_KEY_OF_ROW} AND version = ?{_NAMES.index('version') + 1} - 1"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM funding_records WHERE "  # noqa: S608
_FIND: Final = _SELECT + "(funding_time, symbol, rate_type) = (?, ?, ?)"
_IN_ORDER: Final = " ORDER BY funding_time, symbol, rate_type LIMIT :limit"
_PAGE: Final = (
    _SELECT + "funding_time BETWEEN :start AND :end "
    "AND (funding_time, symbol, rate_type) > (:after_time, :after_symbol, :after_type)" + _IN_ORDER
)
_PAGE_OF_SYMBOL: Final = (
    _SELECT + "symbol = :symbol AND funding_time BETWEEN :start AND :end "
    "AND (funding_time, symbol, rate_type) > (:after_time, :after_symbol, :after_type)" + _IN_ORDER
)
_BEFORE_ALL: Final = SettlementKey(-1, Symbol(""), "")
_DAYS: Final = (
    f"SELECT funding_time / {DAY_MS} * {DAY_MS} AS day, symbol, "  # noqa: S608
    "json_group_array(amount_usdt_text) FROM funding_records WHERE "
)
_BY_DAY: Final = " GROUP BY day, symbol ORDER BY day, symbol"
_SUMS: Final = _DAYS + "funding_time BETWEEN ? AND ?" + _BY_DAY
_SUMS_OF_SYMBOL: Final = _DAYS + "funding_time BETWEEN ? AND ? AND symbol = ?" + _BY_DAY
_ANNOUNCE: Final = "INSERT INTO funding_announcements (document) VALUES (?)"
_ANNOUNCED: Final = """
    SELECT position, document FROM funding_announcements WHERE position > ?
    ORDER BY position LIMIT ?
"""
_FORGET: Final = "DELETE FROM funding_announcements WHERE position <= ?"
_DISPUTE_NAMES: Final = (
    *("funding_time", "symbol", "rate_type"),
    *("field", "stored", "found", "content_hash", "found_at"),
)
_ADD_DISPUTE: Final = (
    f"INSERT INTO funding_disputes ({', '.join(_DISPUTE_NAMES)}) "  # noqa: S608
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_DISPUTES: Final = (
    f"SELECT {', '.join(_DISPUTE_NAMES)} FROM funding_disputes "  # noqa: S608
    "WHERE (:symbol IS NULL OR symbol = :symbol) "
    "ORDER BY funding_time DESC, symbol DESC, rate_type DESC, field DESC, content_hash DESC "
    "LIMIT :limit"
)
_SPANS: Final = "SELECT name, verified_from, verified_through FROM funding_coverage WHERE kind = ?"
_SPAN: Final = _SPANS + " AND name = ?"
_PUT_SPAN: Final = """
    INSERT INTO funding_coverage (kind, name, verified_from, verified_through) VALUES (?, ?, ?, ?)
    ON CONFLICT (kind, name) DO UPDATE SET
        verified_from = excluded.verified_from, verified_through = excluded.verified_through
"""

_encode = msgspec.json.Encoder().encode
_announced_row = msgspec.json.Decoder(FundingRow)


class SqliteFundingStore:
    """Implements `domain.ports.funding_store.FundingStore`."""

    def __init__(self, database: SqliteAccess) -> None:
        self._database = database

    async def find(self, keys: Collection[SettlementKey]) -> Mapping[SettlementKey, FundingRecord]:
        return await self._database.read(partial(_find, keys))

    async def between(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        after: SettlementKey | None = None,
        limit: int = 1_000,
    ) -> tuple[FundingRecord, ...]:
        mark = after or _BEFORE_ALL
        parameters = {
            "start": start,
            "end": end,
            "after_time": mark.funding_time,
            "after_symbol": mark.symbol,
            "after_type": mark.rate_type,
            "limit": limit,
        }
        if symbol is None:
            return await self._database.read(partial(_select, _PAGE, parameters))
        parameters["symbol"] = symbol
        return await self._database.read(partial(_select, _PAGE_OF_SYMBOL, parameters))

    async def daily_sums(
        self, start: int, end: int, symbol: Symbol | None = None
    ) -> tuple[DailyFunding, ...]:
        if symbol is None:
            return await self._database.read(partial(_sum_days, _SUMS, (start, end)))
        return await self._database.read(partial(_sum_days, _SUMS_OF_SYMBOL, (start, end, symbol)))

    async def write(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        written: list[FundingChange] = []
        refused: list[RefusedRecord] = []
        for start in range(0, len(changes), CHANGES_PER_TRANSACTION):
            some = changes[start : start + CHANGES_PER_TRANSACTION]
            result = await self._database.write(partial(_write_each, some))
            written += result.written
            refused += result.refused
        return WrittenRecords(tuple(written), tuple(refused))

    async def announced(self, *, after: int = 0, limit: int = 500) -> tuple[AnnouncedRecord, ...]:
        return await self._database.read(partial(_select_announced, after, limit))

    async def forget_announced(self, *, through: int, before: int) -> int:
        return await self._database.write(partial(_forget_announced, through, before))

    async def dispute(self, disputes: Sequence[FundingDispute]) -> tuple[FundingDispute, ...]:
        return await self._database.write(partial(_add_disputes, disputes)) if disputes else ()

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        return await self._database.read(partial(_select_disputes, symbol, limit))

    async def coverage(self) -> Mapping[Symbol, RateCoverage]:
        spans = await self._database.read(partial(_select_spans, _RATES))
        return {
            Symbol(name): RateCoverage(
                symbol=Symbol(name), verified_from=span.start, verified_through=span.end
            )
            for name, span in spans.items()
        }

    async def extend_coverage(self, coverage: Sequence[RateCoverage]) -> None:
        spans = [(each.symbol, each.span) for each in coverage]
        if spans:
            await self._database.write(partial(_extend_spans, _RATES, spans))

    async def amount_coverage(self, account: str) -> AmountCoverage | None:
        span = await self._database.read(partial(_find_span, _AMOUNTS, account))
        if span is None:
            return None
        return AmountCoverage(account=account, verified_from=span.start, verified_through=span.end)

    async def extend_amount_coverage(self, coverage: AmountCoverage) -> None:
        spans = [(coverage.account, coverage.span)]
        await self._database.write(partial(_extend_spans, _AMOUNTS, spans))


def _find(
    keys: Collection[SettlementKey], connection: sqlite3.Connection
) -> dict[SettlementKey, FundingRecord]:
    found: dict[SettlementKey, FundingRecord] = {}
    for key in keys:
        values = connection.execute(_FIND, key).fetchone()
        if values is not None:
            found[key] = _record(values)
    return found


def _select(
    statement: str, parameters: Mapping[str, object], connection: sqlite3.Connection
) -> tuple[FundingRecord, ...]:
    return tuple(map(_record, connection.execute(statement, parameters)))


def _sum_days(
    statement: str, parameters: tuple[int | str, ...], connection: sqlite3.Connection
) -> tuple[DailyFunding, ...]:
    return tuple(
        sum_day(day, symbol, _exact_amounts(symbol, texts))
        for day, symbol, texts in connection.execute(statement, parameters)
    )


def _write_each(changes: Sequence[FundingChange], connection: sqlite3.Connection) -> WrittenRecords:
    """The store refuses one change without the others."""
    written: list[FundingChange] = []
    refused: list[RefusedRecord] = []
    for change in changes:
        write = _announce_and_write if change.announce else _write_record
        try:
            if write(change.record, connection):
                written.append(change)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            refused.append(RefusedRecord(change, str(error)))
    return WrittenRecords(tuple(written), tuple(refused))


def _write_record(record: FundingRecord, connection: sqlite3.Connection) -> bool:
    """Whether it is written now."""
    statement = _INSERT if record.version == 1 else _REPLACE
    return connection.execute(statement, _values(row_of(record))).rowcount == 1


def _announce_and_write(record: FundingRecord, connection: sqlite3.Connection) -> bool:
    connection.execute("SAVEPOINT one_change")
    try:
        written = _write_record(record, connection)
        if written:
            connection.execute(_ANNOUNCE, (_encode(row_of(record)).decode(),))
    except sqlite3.Error:
        connection.execute("ROLLBACK TO one_change")
        raise
    finally:
        connection.execute("RELEASE one_change")
    return written


def _select_announced(
    after: int, limit: int, connection: sqlite3.Connection
) -> tuple[AnnouncedRecord, ...]:
    found = connection.execute(_ANNOUNCED, (after, limit))
    return tuple(AnnouncedRecord(position, _announced_record(text)) for position, text in found)


def _forget_announced(through: int, before: int, connection: sqlite3.Connection) -> int:
    found = _select_announced(0, CHANGES_PER_TRANSACTION, connection)
    old = takewhile(
        lambda each: each.position <= through and each.record.first_seen_at < before, found
    )
    last = max((each.position for each in old), default=0)
    return connection.execute(_FORGET, (last,)).rowcount


def _add_disputes(
    disputes: Sequence[FundingDispute], connection: sqlite3.Connection
) -> tuple[FundingDispute, ...]:
    return tuple(
        each
        for each in disputes
        if connection.execute(
            _ADD_DISPUTE,
            (*each.key, each.field, each.stored, each.found, each.content_hash, each.found_at),
        ).rowcount
    )


def _select_disputes(
    symbol: Symbol | None, limit: int, connection: sqlite3.Connection
) -> tuple[FundingDispute, ...]:
    found = connection.execute(_DISPUTES, {"symbol": symbol, "limit": limit})
    return tuple(
        FundingDispute(
            key=SettlementKey(*key),
            field=field,
            stored=stored,
            found=other,
            content_hash=content_hash,
            found_at=found_at,
        )
        for *key, field, stored, other, content_hash, found_at in found
    )


def _select_spans(kind: str, connection: sqlite3.Connection) -> dict[str, Window]:
    return {name: Window(*span) for name, *span in connection.execute(_SPANS, (kind,))}


def _find_span(kind: str, name: str, connection: sqlite3.Connection) -> Window | None:
    found = connection.execute(_SPAN, (kind, name)).fetchone()
    return None if found is None else Window(*found[1:])


def _extend_spans(
    kind: str, spans: Sequence[tuple[str, Window]], connection: sqlite3.Connection
) -> None:
    for name, span in spans:
        extended = extend_span(_find_span(kind, name, connection), span)
        connection.execute(_PUT_SPAN, (kind, name, *extended))


def _values(row: FundingRow) -> tuple[object, ...]:
    *flat, parts, conversions = msgspec.structs.astuple(row)
    return (*flat, _json(parts), _json(conversions))


def _json(value: object) -> str | None:
    return None if value is None else _encode(value).decode()


def _record(values: tuple[object, ...]) -> FundingRecord:
    columns = dict(zip(_NAMES, values, strict=True))
    try:
        for name in _NESTED:
            if (text := columns[name]) is not None:
                columns[name] = msgspec.json.decode(str(text))
        return record_of(msgspec.convert(columns, FundingRow))
    except (msgspec.DecodeError, InvalidValueError) as error:
        where = f"{columns['symbol']} {columns['funding_time']}"
        raise _damaged(f"the row of {where} in funding_records", error) from error


def _announced_record(text: str) -> FundingRecord:
    try:
        return record_of(_announced_row.decode(text))
    except (msgspec.DecodeError, InvalidValueError) as error:
        raise _damaged("a row of funding_announcements", error) from error


def _exact_amounts(symbol: Symbol, texts: str) -> list[Decimal | None]:
    try:
        found = msgspec.json.decode(texts, type=list[str | None])
        return [None if text is None else parse_exact(text) for text in found]
    except InvalidValueError as error:
        raise _damaged(f"a row of {symbol} in funding_records", error) from error


def _damaged(what: str, error: Exception) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{what} is damaged ({error}); restore a backup, or delete the row and run chimera-s1 "
        "funding backfill"
    )
