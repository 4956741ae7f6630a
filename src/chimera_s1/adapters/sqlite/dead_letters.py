"""Dead letters in SQLite."""

import sqlite3
from typing import Any, Final

from chimera_s1.adapters.sqlite.database import SqliteAccess
from chimera_s1.domain.operations.dead_letter import DeadLetter
from chimera_s1.domain.ports.dead_letters import AddedLetter, StoredLetter

_INSERT: Final = """
    INSERT INTO dead_letters (ts, port, key, reason, payload, attempts) VALUES (?, ?, ?, ?, ?, ?)
"""
_TRIM: Final = """
    DELETE FROM dead_letters WHERE position IN (
        SELECT position FROM dead_letters ORDER BY position DESC LIMIT -1 OFFSET ?
    )
"""
_PAGE: Final = """
    SELECT position, ts, port, key, reason, payload, attempts FROM dead_letters
    WHERE position > ? ORDER BY position LIMIT ?
"""
_FIND: Final = """
    SELECT position, ts, port, key, reason, payload, attempts FROM dead_letters WHERE position = ?
"""
_DELETE: Final = "DELETE FROM dead_letters WHERE position = ?"
_COUNT: Final = "SELECT count(*) FROM dead_letters"
_DIGITS_MAX: Final = 18


class SqliteDeadLetters:
    """Implements `domain.ports.dead_letters.DeadLetters`."""

    def __init__(self, database: SqliteAccess, *, limit: int) -> None:
        self._database = database
        self._limit = limit

    async def add(self, letter: DeadLetter) -> AddedLetter:
        row = (
            letter.ts,
            letter.port,
            letter.key,
            letter.reason,
            letter.payload,
            letter.attempts,
        )

        def insert(connection: sqlite3.Connection) -> AddedLetter:
            position = connection.execute(_INSERT, row).lastrowid
            return AddedLetter(str(position), connection.execute(_TRIM, (self._limit,)).rowcount)

        return await self._database.write(insert)

    async def page(self, *, after: str = "", limit: int = 100) -> tuple[StoredLetter, ...]:
        position = _position(after) if after else 0
        if position is None:
            return ()
        rows = await self._rows(_PAGE, position, limit)
        return tuple(map(_stored, rows))

    async def find(self, letter_id: str) -> StoredLetter | None:
        position = _position(letter_id)
        rows = [] if position is None else await self._rows(_FIND, position)
        return _stored(rows[0]) if rows else None

    async def remove(self, letter_id: str) -> bool:
        position = _position(letter_id)
        if position is None:
            return False
        return await self._database.execute(_DELETE, [(position,)]) > 0

    async def count(self) -> int:
        return int((await self._rows(_COUNT))[0][0])

    async def _rows(self, statement: str, *values: int) -> list[Any]:
        return await self._database.read(
            lambda connection: connection.execute(statement, values).fetchall()
        )


def _position(letter_id: str) -> int | None:
    """None for text that is no id of this table."""
    plain = letter_id.isascii() and letter_id.isdecimal() and len(letter_id) <= _DIGITS_MAX
    return int(letter_id) if plain else None


def _stored(row: tuple[int, int, str, str, str, str, int]) -> StoredLetter:
    position, ts, port, key, reason, payload, attempts = row
    letter = DeadLetter(
        ts=ts, port=port, key=key, reason=reason, payload=payload, attempts=attempts
    )
    return StoredLetter(str(position), letter)
