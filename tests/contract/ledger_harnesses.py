"""The harness of each adapter. An entry in `LEDGER_HARNESSES` adds an adapter to all suites."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.adapters.memory.installation_store import MemoryInstallationStore
from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.dead_letters import SqliteDeadLetters
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.installation_store import SqliteInstallationStore
from chimera_s1.adapters.sqlite.job_runs import SqliteJobRuns
from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, Document
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.transfer_projection import TransferRow
from tests.contract.arango_ledger_harness import ARANGO_LEDGER_HARNESSES
from tests.contract.ledger_commits import LEDGER
from tests.contract.ledger_harness import LETTERS_MAX, LedgerHarness, StoreSet
from tests.fakes.dead_letters import MemoryDeadLetters
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.manual_clock import ManualClock

__all__ = ["LedgerHarness", "StoreSet", "ledger_harness", "ledger_stores"]


class MemoryLedgerHarness(LedgerHarness):
    """The contents outlive the stores."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._contents = LedgerContents()
        self._events = FaultyEventStore(LEDGER, self._contents)
        self._seqs: dict[str, int] = {}
        self._rows: dict[str, TransferRow] = {}
        self._installation = MemoryInstallationStore()
        self._job_runs = MemoryJobRuns()
        self._dead_letters = MemoryDeadLetters(limit=LETTERS_MAX)

    async def open(self) -> StoreSet:
        self._events = FaultyEventStore(LEDGER, self._contents)
        cursors, transfers = MemoryCursorStore(), MemoryTransferProjection()
        cursors.seqs, transfers.rows = self._seqs, self._rows
        leases = MemoryLeaseStore(self._clock)
        return StoreSet(
            self._events,
            cursors,
            leases,
            transfers,
            self._installation,
            self._job_runs,
            self._dead_letters,
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    def lose_next_reply(self) -> None:
        self._events.replies_to_lose = 1

    async def load_document(self, seq: int) -> Document:
        return msgspec.json.decode(self._contents.documents_by_seq[seq], type=Document)

    async def save_document(self, seq: int, document: Document | None) -> None:
        if document is None:
            del self._contents.documents_by_seq[seq]
        else:
            self._contents.documents_by_seq[seq] = msgspec.json.encode(document)


class LossySqliteEventStore(SqliteEventStore):
    """The replies to the next `replies_to_lose` appends are lost after the commit."""

    replies_to_lose = 0

    async def append(self, commit: Commit) -> AppendResult:
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the reply was lost after the commit")
        return result


class SqliteLedgerHarness(LedgerHarness):
    """A file; documents are changed over a second connection."""

    def __init__(self, path: Path, exit_stack: AsyncExitStack) -> None:
        self._path = path
        self._exit_stack = exit_stack
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
            SqliteInstallationStore(database),
            SqliteJobRuns(database),
            SqliteDeadLetters(database, limit=LETTERS_MAX),
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
    async with AsyncExitStack() as exit_stack:
        yield SqliteLedgerHarness(directory / "ledger.db", exit_stack)


LEDGER_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[LedgerHarness]]] = {
    "memory": memory_ledger_harness,
    "sqlite": sqlite_ledger_harness,
    **ARANGO_LEDGER_HARNESSES,
}
"""By adapter; each takes a directory of the test's own."""


@pytest.fixture(params=LEDGER_HARNESSES)
async def ledger_harness(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[LedgerHarness]:
    async with LEDGER_HARNESSES[request.param](tmp_path) as harness:
        yield harness


@pytest.fixture
async def ledger_stores(ledger_harness: LedgerHarness) -> StoreSet:
    return await ledger_harness.open()
