"""Cursors in SQLite."""

import sqlite3

from chimera_s1.adapters.sqlite.database import SqliteDatabase

_FIND_SEQ = "SELECT position FROM cursors WHERE name = ?"
_ADVANCE = """
    INSERT INTO cursors (name, position) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)
"""
_REWIND = "DELETE FROM cursors WHERE name = ?"


class SqliteCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        """Args: database: Open for as long as this is used."""
        self._database = database

    async def read(self, name: str) -> int:
        """The last place that *name* is done with."""

        def find(connection: sqlite3.Connection) -> int:
            found = connection.execute(_FIND_SEQ, (name,)).fetchone()
            return 0 if found is None else int(found[0])

        return await self._database.read(find)

    async def advance(self, name: str, seq: int) -> None:
        """Remember *seq*, unless a later one is there."""
        await self._database.execute(_ADVANCE, [(name, seq)])

    async def rewind(self, name: str) -> None:
        """Begin anew."""
        await self._database.execute(_REWIND, [(name,)])
