"""The states of jobs in SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from chimera_s1.adapters.sqlite.database import SqliteAccess
from chimera_s1.domain.operations.job_state import JobState, unreadable_state
from chimera_s1.domain.ports.job_runs import StoredJob

_FIND = "SELECT version, state, request FROM job_runs WHERE name = ?"
_WRITE = """
    INSERT INTO job_runs (name, version, state) VALUES (:name, :version, :state)
    ON CONFLICT (name) DO UPDATE SET version = :version, state = :state
    WHERE version < :version OR state = :state
"""
_REQUEST = """
    INSERT INTO job_runs (name, request) VALUES (:name, :request)
    ON CONFLICT (name) DO UPDATE SET request = :request
"""


class SqliteJobRuns:
    """Implements `domain.ports.job_runs.JobRuns`."""

    def __init__(self, database: SqliteAccess) -> None:
        self._database = database

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        def find(connection: sqlite3.Connection) -> Mapping[str, StoredJob]:
            return {name: _find(name, connection) for name in names}

        return await self._database.read(find)

    async def write(self, state: JobState) -> bool:
        text = msgspec.json.encode(state).decode()
        row: dict[str, str | int | float] = {
            "name": state.name,
            "version": state.version,
            "state": text,
        }
        return await self._database.execute(_WRITE, [row]) > 0

    async def request(self, name: str, request: str) -> None:
        await self._database.execute(_REQUEST, [{"name": name, "request": request}])


def _find(name: str, connection: sqlite3.Connection) -> StoredJob:
    row = connection.execute(_FIND, (name,)).fetchone()
    if row is None:
        return StoredJob()
    version, text, request = row
    if not text:
        return StoredJob(None, request)
    try:
        return StoredJob(msgspec.json.decode(text, type=JobState), request)
    except msgspec.DecodeError:
        return StoredJob(unreadable_state(name, version), request)
