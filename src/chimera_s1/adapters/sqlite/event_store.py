"""A ledger in SQLite."""

import sqlite3
from functools import partial

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.domain.ledger.commit import (
    GENESIS_HASH,
    Commit,
    LedgerEntry,
    LedgerHead,
    commit_name,
    decode_entry,
    encode_commit,
    head_of,
)
from chimera_s1.domain.ledger.sequence import contiguous_count
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    NotLinked,
    SeqTaken,
)

_INSERT = """
    INSERT INTO treasury_commits (ledger, seq, commit_id, document) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_INSERT_STREAM = "INSERT INTO treasury_commit_streams (ledger, stream, seq) VALUES (?, ?, ?)"
# As bytes, which the decoder needs.
_FIND_BY_COMMIT_ID = """
    SELECT seq, CAST(document AS BLOB) FROM treasury_commits WHERE ledger = ? AND commit_id = ?
"""
_FIND_BY_SEQ = """
    SELECT seq, CAST(document AS BLOB) FROM treasury_commits WHERE ledger = ? AND seq = ?
"""
_FIND_HEAD = """
    SELECT seq, CAST(document AS BLOB) FROM treasury_commits
    WHERE ledger = ? ORDER BY seq DESC LIMIT 1
"""
_READ_AFTER = """
    SELECT seq, CAST(document AS BLOB) FROM treasury_commits
    WHERE ledger = ? AND seq > ? ORDER BY seq LIMIT ?
"""
# A commit that was deleted appears with an empty document.
_READ_STREAM = """
    SELECT seq, CAST(ifnull(document, '') AS BLOB)
    FROM treasury_commit_streams LEFT JOIN treasury_commits USING (ledger, seq)
    WHERE ledger = ? AND stream = ? ORDER BY seq
"""


class SqliteEventStore:
    """Implements `domain.ports.event_store.EventStore`."""

    def __init__(self, database: SqliteDatabase, ledger: str) -> None:
        self._database = database
        self._ledger = ledger

    @property
    def ledger(self) -> str:
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        assert commit.ledger == self._ledger, "the commit belongs to another ledger"
        return await self._database.write(partial(_append, commit))

    async def head(self) -> LedgerHead:
        return await self._database.read(self._head)

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        return await self._database.read(partial(self._read, after, min(limit, READ_LIMIT_MAX)))

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        return await self._database.read(partial(self._read_stream, stream))

    def _head(self, connection: sqlite3.Connection) -> LedgerHead:
        row = connection.execute(_FIND_HEAD, (self._ledger,)).fetchone()
        return LedgerHead() if row is None else head_of(_entry(self._ledger, *row).commit)

    def _read(
        self, after: int, limit: int, connection: sqlite3.Connection
    ) -> tuple[LedgerEntry, ...]:
        rows = connection.execute(_READ_AFTER, (self._ledger, after, limit)).fetchall()
        count = contiguous_count((seq for seq, _ in rows), self._ledger, after)
        return tuple(_entry(self._ledger, *row) for row in rows[:count])

    def _read_stream(self, stream: str, connection: sqlite3.Connection) -> tuple[LedgerEntry, ...]:
        rows = connection.execute(_READ_STREAM, (self._ledger, stream))
        return tuple(_entry(self._ledger, *row) for row in rows)


def _append(commit: Commit, connection: sqlite3.Connection) -> AppendResult:
    key = (commit.ledger, commit.seq)
    if not _is_linked(commit, connection):
        return NotLinked()
    row = (*key, commit.commit_id, encode_commit(commit).decode())
    if connection.execute(_INSERT, row).rowcount:
        for stream in commit.streams:
            connection.execute(_INSERT_STREAM, (commit.ledger, stream, commit.seq))
        return Appended(commit)
    by_commit_id = connection.execute(
        _FIND_BY_COMMIT_ID, (commit.ledger, commit.commit_id)
    ).fetchone()
    if by_commit_id is not None:
        return Appended(_entry(commit.ledger, *by_commit_id).commit, already_written=True)
    by_seq = connection.execute(_FIND_BY_SEQ, key).fetchone()
    return SeqTaken(_entry(commit.ledger, *by_seq).commit)


def _is_linked(commit: Commit, connection: sqlite3.Connection) -> bool:
    if commit.seq == 1:
        return commit.prev_hash == GENESIS_HASH
    before = connection.execute(_FIND_BY_SEQ, (commit.ledger, commit.seq - 1)).fetchone()
    return before is not None and _entry(commit.ledger, *before).commit.hash == commit.prev_hash


def _entry(ledger: str, seq: int, document: bytes) -> LedgerEntry:
    return decode_entry(document, commit_name(ledger, seq))
