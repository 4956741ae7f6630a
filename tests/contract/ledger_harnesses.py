"""The stores a ledger needs, over each adapter, and hands that reach around them.

Another adapter joins all suites by an entry in `BENCHES`.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents, MemoryEventStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, Document
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.transfer_projection import TransferRow
from tests.contract.arango_ledger_harness import ARANGO_LEDGER_HARNESSES
from tests.contract.ledger_commits import LEDGER
from tests.contract.ledger_harness import LedgerHarness, StoreSet
from tests.fakes.manual_clock import ManualClock

__all__ = ["LedgerHarness", "StoreSet", "ledger_harness", "ledger_stores"]


class MemoryLedgerHarness(LedgerHarness):
    """Dicts that outlive the stores."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._ledger = LedgerContents()
        self._events = MemoryEventStore(LEDGER, self._ledger)
        self._seqs: dict[str, int] = {}
        self._rows: dict[str, TransferRow] = {}

    async def open(self) -> StoreSet:
        self._events = MemoryEventStore(LEDGER, self._ledger)
        return StoreSet(
            self._events,
            MemoryCursorStore(self._seqs),
            MemoryLeaseStore(self._clock),
            MemoryTransferProjection(self._rows),
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    def lose_next_reply(self) -> None:
        self._events.replies_to_lose = 1

    async def load_document(self, seq: int) -> Document:
        return msgspec.json.decode(self._ledger.documents_by_seq[seq], type=Document)

    async def save_document(self, seq: int, document: Document | None) -> None:
        if document is None:
            del self._ledger.documents_by_seq[seq]
        else:
            self._ledger.documents_by_seq[seq] = msgspec.json.encode(document)


class LossySqliteEventStore(SqliteEventStore):
    """Loses what comes after the commit when it is told to."""

    replies_to_lose = 0

    async def append(self, commit: Commit) -> AppendResult:
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the thread died after the commit")
        return result


class SqliteLedgerHarness(LedgerHarness):
    """A file, and a second connection to it."""

    def __init__(self, path: Path, opened: AsyncExitStack) -> None:
        self._path = path
        self._exit_stack = opened
        self._clock = ManualClock()
        self._events: LossySqliteEventStore | None = None

    async def open(self) -> StoreSet:
        await self._exit_stack.aclose()
        database = await self._exit_stack.enter_async_context(SqliteDatabase(self._path))
        self._events = LossySqliteEventStore(database, LEDGER)
        return StoreSet(
            self._events,
            SqliteCursorStore(database),
            SqliteLeaseStore(database, self._clock),
            SqliteTransferProjection(database),
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    def lose_next_reply(self) -> None:
        assert self._events is not None
        self._events.replies_to_lose = 1

    async def load_document(self, seq: int) -> Document:
        statement = "SELECT document FROM treasury_commits WHERE seq = ?"
        with closing(sqlite3.connect(self._path)) as connection:
            (text,) = connection.execute(statement, (seq,)).fetchone()
        return msgspec.json.decode(text, type=Document)

    async def save_document(self, seq: int, document: Document | None) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("DROP TRIGGER IF EXISTS treasury_commits_never_change")
            connection.execute("DROP TRIGGER IF EXISTS treasury_commits_never_go")
            if document is None:
                connection.execute("DELETE FROM treasury_commits WHERE seq = ?", (seq,))
                return
            connection.execute(
                "INSERT OR REPLACE INTO treasury_commits VALUES (?, ?, ?, ?)",
                (
                    LEDGER,
                    seq,
                    document.get("commit_id", "?"),
                    msgspec.json.encode(document).decode(),
                ),
            )


@asynccontextmanager
async def memory_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    yield MemoryLedgerHarness()


@asynccontextmanager
async def sqlite_ledger_harness(directory: Path) -> AsyncIterator[LedgerHarness]:
    async with AsyncExitStack() as opened:
        yield SqliteLedgerHarness(directory / "ledger.db", opened)


LEDGER_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[LedgerHarness]]] = {
    "memory": memory_ledger_harness,
    "sqlite": sqlite_ledger_harness,
    **ARANGO_LEDGER_HARNESSES,
}
"""A directory that is the test's own -> the bench."""


@pytest.fixture(params=LEDGER_HARNESSES)
async def ledger_harness(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[LedgerHarness]:
    async with LEDGER_HARNESSES[request.param](tmp_path) as bench:
        yield bench


@pytest.fixture
async def ledger_stores(ledger_harness: LedgerHarness) -> StoreSet:
    return await ledger_harness.open()
