"""Cursors in SQLite."""

import sqlite3

from chimera_s1.adapters.sqlite.database import SqliteAccess

_FIND_SEQ = "SELECT position FROM cursors WHERE name = ?"
_ADVANCE = """
    INSERT INTO cursors (name, position) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)
"""
_REWIND = "DELETE FROM cursors WHERE name = ?"


class SqliteCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self, database: SqliteAccess) -> None:
        self._database = database

    async def read(self, name: str) -> int:
        def find(connection: sqlite3.Connection) -> int:
            row = connection.execute(_FIND_SEQ, (name,)).fetchone()
            return 0 if row is None else int(row[0])

        return await self._database.read(find)

    async def advance(self, name: str, seq: int) -> None:
        await self._database.execute(_ADVANCE, [(name, seq)])

    async def rewind(self, name: str) -> None:
        await self._database.execute(_REWIND, [(name,)])
