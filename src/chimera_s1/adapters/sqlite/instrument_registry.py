"""The instrument registry in SQLite: a change and its row are written in one transaction."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias

import msgspec

from chimera_s1.adapters.sqlite.database import SqliteAccess
from chimera_s1.domain.errors import InvalidValueError, StoreUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange, RegistryRow
from chimera_s1.domain.instruments.registry_document import (
    Document,
    change_document,
    change_from_document,
    row_document,
    row_from_document,
)
from chimera_s1.domain.ports.instrument_registry import (
    AppliedChanges,
    RecordedChange,
    RefusedChange,
)

_WriteOne: TypeAlias = Callable[[RegistryChange, sqlite3.Connection], bool]

CHANGES_PER_TRANSACTION: Final = 200
"""So that a first sync does not keep the ledger from writing."""

_SELECT_ROWS = "SELECT document, checked_at FROM instrument_registry"
_OF_VENUE = " WHERE venue = ?"
_OF_INSTRUMENT = " WHERE venue = ? AND symbol = ?"
_PUT_ROW = """
    INSERT INTO instrument_registry (venue, symbol, version, checked_at, document)
    VALUES (:venue, :symbol, :version, :checked_at, :document)
    ON CONFLICT (venue, symbol) DO UPDATE SET
        version = excluded.version,
        checked_at = max(checked_at, excluded.checked_at),
        document = excluded.document
    WHERE excluded.version > version
"""
_ADD_CHANGE = """
    INSERT INTO instrument_registry_changes (venue, symbol, version, updated_at, document)
    VALUES (:venue, :symbol, :version, :updated_at, :document)
"""
_NEWEST_CHANGE = """
    SELECT version, document FROM instrument_registry_changes
    WHERE venue = ? AND symbol = ? ORDER BY version DESC LIMIT 1
"""
# Found by the index of versions; documents are read only of rows that are behind.
_CHANGES_WITHOUT_ROW = """
    SELECT change.document
    FROM (
        SELECT venue, symbol, max(version) AS version
        FROM instrument_registry_changes GROUP BY venue, symbol
    ) AS newest
    JOIN instrument_registry_changes AS change
        ON (change.venue, change.symbol, change.version)
            = (newest.venue, newest.symbol, newest.version)
    LEFT JOIN instrument_registry AS row
        ON (row.venue, row.symbol) = (newest.venue, newest.symbol)
    WHERE newest.version > ifnull(row.version, 0)
"""
_READ_CHANGES = """
    SELECT position, document FROM instrument_registry_changes
    WHERE position > ? AND updated_at >= ? ORDER BY position LIMIT ?
"""
_LAST_POSITION = "SELECT ifnull(max(position), 0) FROM instrument_registry_changes"
_MARK_CHECKED = """
    UPDATE instrument_registry SET checked_at = :checked_at
    WHERE venue = :venue AND symbol = :symbol AND checked_at < :checked_at
"""
_FIND_HELD = "SELECT document FROM instrument_registry_held WHERE venue = ?"
_PUT_HELD = """
    INSERT INTO instrument_registry_held (venue, document) VALUES (?, ?)
    ON CONFLICT (venue) DO UPDATE SET document = excluded.document
"""


class SqliteInstrumentRegistry:
    """Implements `domain.ports.instrument_registry.InstrumentRegistry`."""

    def __init__(self, database: SqliteAccess) -> None:
        self._database = database

    async def rows(self, venue: Venue | None = None) -> tuple[RegistryRow, ...]:
        if venue is None:
            work = partial(_select_rows, _SELECT_ROWS, ())
        else:
            work = partial(_select_rows, _SELECT_ROWS + _OF_VENUE, (venue.value,))
        return await self._database.read(work)

    async def find(self, instrument: InstrumentId) -> RegistryRow | None:
        work = partial(_select_rows, _SELECT_ROWS + _OF_INSTRUMENT, _key(instrument))
        return next(iter(await self._database.read(work)), None)

    async def apply(self, changes: Sequence[RegistryChange]) -> AppliedChanges:
        behind = await self._database.read(_changes_without_row)
        repaired = await self._write(_repair_one, behind)
        applied = await self._write(_apply_one, changes)
        return AppliedChanges(applied.written, repaired.refused + applied.refused)

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        await self._database.execute(
            _MARK_CHECKED,
            [
                {"venue": each.venue.value, "symbol": each.symbol, "checked_at": checked_at}
                for each in instruments
            ],
        )

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        return await self._database.read(partial(_select_changes, (after, since, limit)))

    async def last_position(self) -> int:
        return await self._database.read(_select_last_position)

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]:
        return await self._database.read(partial(_find_held, venue))

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        document = msgspec.json.encode(tuple(held)).decode()
        await self._database.execute(_PUT_HELD, [(venue.value, document)])

    async def _write(self, write: _WriteOne, changes: Sequence[RegistryChange]) -> AppliedChanges:
        written: list[RegistryChange] = []
        refused: list[RefusedChange] = []
        for start in range(0, len(changes), CHANGES_PER_TRANSACTION):
            some = changes[start : start + CHANGES_PER_TRANSACTION]
            applied = await self._database.write(partial(_write_each, write, some))
            written += applied.written
            refused += applied.refused
        return AppliedChanges(tuple(written), tuple(refused))


def _select_rows(
    statement: str, parameters: tuple[str, ...], connection: sqlite3.Connection
) -> tuple[RegistryRow, ...]:
    rows = [
        _row({**_decoded(text), "checked_at": checked_at})
        for text, checked_at in connection.execute(statement, parameters)
    ]
    return tuple(sorted(rows, key=lambda row: row.instrument))


def _select_last_position(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_LAST_POSITION).fetchone()[0])


def _write_each(
    write: _WriteOne, changes: Sequence[RegistryChange], connection: sqlite3.Connection
) -> AppliedChanges:
    """The store refuses one change without the others."""
    written: list[RegistryChange] = []
    refused: list[RefusedChange] = []
    for change in changes:
        connection.execute("SAVEPOINT one_change")
        try:
            if write(change, connection):
                written.append(change)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            connection.execute("ROLLBACK TO one_change")
            refused.append(RefusedChange(change, str(error)))
        connection.execute("RELEASE one_change")
    return AppliedChanges(tuple(written), tuple(refused))


def _apply_one(change: RegistryChange, connection: sqlite3.Connection) -> bool:
    """Whether it is written now."""
    newest = connection.execute(_NEWEST_CHANGE, _key(change.row.instrument)).fetchone()
    if newest is not None and newest[0] >= change.row.version:
        return False
    connection.execute(_ADD_CHANGE, _parameters(change.row, change_document(change)))
    _put_row(change.row, connection)
    return True


def _repair_one(change: RegistryChange, connection: sqlite3.Connection) -> bool:
    _put_row(change.row, connection)
    return True


def _changes_without_row(connection: sqlite3.Connection) -> tuple[RegistryChange, ...]:
    """The newest changes whose rows someone deleted or set back."""
    return tuple(_change(text) for (text,) in connection.execute(_CHANGES_WITHOUT_ROW))


def _put_row(row: RegistryRow, connection: sqlite3.Connection) -> None:
    connection.execute(_PUT_ROW, _parameters(row, row_document(row)))


def _select_changes(
    parameters: tuple[int, int, int], connection: sqlite3.Connection
) -> tuple[RecordedChange, ...]:
    found = connection.execute(_READ_CHANGES, parameters)
    return tuple(RecordedChange(position, _change(text)) for position, text in found)


def _find_held(venue: Venue, connection: sqlite3.Connection) -> tuple[HeldRows, ...]:
    found = connection.execute(_FIND_HELD, (venue.value,)).fetchone()
    return () if found is None else msgspec.json.decode(found[0], type=tuple[HeldRows, ...])


def _parameters(row: RegistryRow, document: Document) -> dict[str, str | int]:
    venue, symbol = _key(row.instrument)
    return {
        "venue": venue,
        "symbol": symbol,
        "version": row.version,
        "updated_at": row.updated_at,
        "checked_at": row.checked_at,
        "document": msgspec.json.encode(document).decode(),
    }


def _key(instrument: InstrumentId) -> tuple[str, str]:
    return instrument.venue.value, instrument.symbol


def _row(document: Document) -> RegistryRow:
    try:
        return row_from_document(document)
    except InvalidValueError as error:
        raise _damaged(error) from error


def _change(text: str) -> RegistryChange:
    try:
        return change_from_document(_decoded(text))
    except InvalidValueError as error:
        raise _damaged(error) from error


def _decoded(text: str) -> Document:
    try:
        return msgspec.json.decode(text, type=Document)
    except msgspec.DecodeError as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the instrument registry: {error}; restore a backup, or delete the row: the next sync "
        "writes it again"
    )
