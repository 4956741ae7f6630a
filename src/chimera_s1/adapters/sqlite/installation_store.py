"""The identity of an installation in SQLite."""

import sqlite3
from functools import partial

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.domain.ports.installation_store import InstallationFact

_HAS_TABLE = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'installation'"
_FIND = "SELECT value FROM installation WHERE fact = ?"
_RECORD = "INSERT INTO installation (fact, value) VALUES (?, ?) ON CONFLICT (fact) DO NOTHING"


class SqliteInstallationStore:
    """Implements `domain.ports.installation_store.InstallationStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def find(self, fact: InstallationFact) -> str:
        return await self._database.read(partial(_find, fact))

    async def record(self, fact: InstallationFact, value: str) -> str:
        await self._database.execute(_RECORD, [(fact.value, value)])
        return await self.find(fact)


def _find(fact: InstallationFact, connection: sqlite3.Connection) -> str:
    # A file of an earlier version that is only read has no such table.
    if not connection.execute(_HAS_TABLE).fetchone()[0]:
        return ""
    row = connection.execute(_FIND, (fact.value,)).fetchone()
    return "" if row is None else str(row[0])
