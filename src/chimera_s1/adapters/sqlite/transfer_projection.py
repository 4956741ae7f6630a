"""`treasury_transfers` in SQLite: one column per field."""

import sqlite3
from collections.abc import Mapping
from functools import partial

import msgspec

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow

_NAMES = tuple(field.encode_name for field in msgspec.structs.fields(TransferRow))
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)
_PLACEHOLDERS = ", ".join(f":{name}" for name in _NAMES)
_ASSIGNMENTS = ", ".join(f'"{name}" = excluded."{name}"' for name in _NAMES)
# No SQL injection: the names are the fields of TransferRow.
_PUT = (
    f"INSERT INTO treasury_transfers ({_COLUMNS}) VALUES ({_PLACEHOLDERS}) "  # noqa: S608
    f"ON CONFLICT (transfer_id) DO UPDATE SET {_ASSIGNMENTS} "
    "WHERE excluded.applied_seq >= treasury_transfers.applied_seq"
)
_GET = f"SELECT {_COLUMNS} FROM treasury_transfers WHERE transfer_id = ?"  # noqa: S608
_BEFORE_MARK = "(created_at, transfer_id) < (:created_at, :transfer_id)"
_NEWEST_FIRST = "ORDER BY created_at DESC, transfer_id DESC LIMIT :limit"
_NEWEST = (
    f"SELECT {_COLUMNS} FROM treasury_transfers "  # noqa: S608
    f"WHERE {_BEFORE_MARK} {_NEWEST_FIRST}"
)
_NEWEST_OF_STATUS = (
    f"SELECT {_COLUMNS} FROM treasury_transfers "  # noqa: S608
    f"WHERE status = :status AND {_BEFORE_MARK} {_NEWEST_FIRST}"
)
_CLEAR = "DELETE FROM treasury_transfers"

_PAGE_MARK_MAX = PageMark((1 << 63) - 1, "")


class SqliteTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        await self._database.execute(_PUT, [msgspec.to_builtins(row) for row in rows])

    async def get(self, transfer_id: str) -> TransferRow | None:
        rows = await self._database.read(partial(_select, _GET, (transfer_id,)))
        return rows[0] if rows else None

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        statement = _NEWEST if status is None else _NEWEST_OF_STATUS
        mark = before or _PAGE_MARK_MAX
        parameters = {
            "limit": limit,
            "status": status,
            "created_at": mark.created_at,
            "transfer_id": mark.transfer_id,
        }
        return await self._database.read(partial(_select, statement, parameters))

    async def clear(self) -> None:
        await self._database.execute(_CLEAR)


def _select(
    statement: str,
    parameters: tuple[str, ...] | Mapping[str, object],
    connection: sqlite3.Connection,
) -> tuple[TransferRow, ...]:
    return tuple(map(_row, connection.execute(statement, parameters)))


def _row(values: tuple[object, ...]) -> TransferRow:
    # Not strict: SQLite stores booleans as 0 and 1.
    columns = dict(zip(_NAMES, values, strict=True))
    try:
        return msgspec.convert(columns, TransferRow, strict=False)
    except msgspec.ValidationError as error:
        raise StoreUnavailableError(
            f"the row of transfer {columns['transfer_id']} in treasury_transfers is damaged "
            f"({error}), the ledger is not: stop the service, run chimera-s1 ledger rebuild"
        ) from error
