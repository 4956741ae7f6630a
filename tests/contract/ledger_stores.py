"""
The stores a ledger needs, over each adapter, and hands that reach around them.

Another adapter joins all suites by an entry in `BENCHES`.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from chimera_s1.adapters.memory.clock import ManualClock
from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore, MemoryLedger
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, Document
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import AppendResult, EventStore
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection, TransferRow
from tests.contract.ledger_chains import LEDGER


class Stores(Struct):
    """
    What a process has in its hands.
    """

    events: EventStore
    cursors: CursorStore
    leases: LeaseStore
    transfers: TransferProjection


class Bench(ABC):
    """
    A place where things are kept, and somebody who has access to it.
    """

    @abstractmethod
    async def open(self) -> Stores:
        """
        The stores as a process finds them that starts now; the one before has ended.
        """

    @abstractmethod
    async def pass_time(self, duration_ms: int) -> None:
        """
        Let the clock by which leases end go on.
        """

    @abstractmethod
    def lose_reply(self) -> None:
        """
        The next append is applied, and its caller is told that the store did not answer.
        """

    @abstractmethod
    async def load(self, seq: int) -> Document:
        """
        The document at *seq*, as it is kept.
        """

    @abstractmethod
    async def save(self, seq: int, document: Document | None) -> None:
        """
        Put *document* at *seq*, or remove what is there.
        """

    async def edit(self, seq: int, change: Callable[[Document], object]) -> None:
        """
        Let *change* change the document at *seq* in place.
        """
        document = await self.load(seq)
        change(document)
        await self.save(seq, document)

    async def delete(self, seq: int) -> None:
        """
        Leave a hole.
        """
        await self.save(seq, None)

    async def swap(self, first: int, second: int) -> None:
        """
        Each document in the place of the other.
        """
        documents = await self.load(first), await self.load(second)
        await self.save(first, documents[1])
        await self.save(second, documents[0])

    async def cut_tail(self, seq: int, newest: int) -> None:
        """
        Remove what comes after *seq*, up to *newest*.
        """
        for place in range(newest, seq, -1):
            await self.save(place, None)


class MemoryBench(Bench):
    """
    Dicts that outlive the stores.
    """

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._ledger = MemoryLedger()
        self._events = MemoryEventStore(LEDGER, self._ledger)
        self._positions: dict[str, int] = {}
        self._rows: dict[str, TransferRow] = {}

    async def open(self) -> Stores:
        self._events = MemoryEventStore(LEDGER, self._ledger)
        return Stores(
            self._events,
            MemoryCursorStore(self._positions),
            MemoryLeaseStore(self._clock),
            MemoryTransferProjection(self._rows),
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    def lose_reply(self) -> None:
        self._events.replies_to_lose = 1

    async def load(self, seq: int) -> Document:
        return msgspec.json.decode(self._ledger.documents[seq], type=Document)

    async def save(self, seq: int, document: Document | None) -> None:
        if document is None:
            del self._ledger.documents[seq]
        else:
            self._ledger.documents[seq] = msgspec.json.encode(document)


class LossySqliteEventStore(SqliteEventStore):
    """
    Loses what comes after the commit when it is told to.
    """

    replies_to_lose = 0

    async def append(self, commit: Commit) -> AppendResult:
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the thread died after the commit")
        return result


class SqliteBench(Bench):
    """
    A file, and a second connection to it.
    """

    def __init__(self, path: Path, opened: AsyncExitStack) -> None:
        self._path = path
        self._opened = opened
        self._clock = ManualClock()
        self._events: LossySqliteEventStore | None = None

    async def open(self) -> Stores:
        await self._opened.aclose()
        database = await self._opened.enter_async_context(SqliteDatabase(self._path))
        self._events = LossySqliteEventStore(database, LEDGER)
        return Stores(
            self._events,
            SqliteCursorStore(database),
            SqliteLeaseStore(database, self._clock),
            SqliteTransferProjection(database),
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    def lose_reply(self) -> None:
        assert self._events is not None
        self._events.replies_to_lose = 1

    async def load(self, seq: int) -> Document:
        statement = "SELECT document FROM treasury_commits WHERE seq = ?"
        with closing(sqlite3.connect(self._path)) as connection:
            (text,) = connection.execute(statement, (seq,)).fetchone()
        return msgspec.json.decode(text, type=Document)

    async def save(self, seq: int, document: Document | None) -> None:
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
async def memory_bench(_directory: Path) -> AsyncIterator[Bench]:
    yield MemoryBench()


@asynccontextmanager
async def sqlite_bench(directory: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as opened:
        yield SqliteBench(directory / "ledger.db", opened)


BENCHES: dict[str, Callable[[Path], AbstractAsyncContextManager[Bench]]] = {
    "memory": memory_bench,
    "sqlite": sqlite_bench,
}
"""
A directory that is the test's own -> the bench.
"""


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with BENCHES[request.param](tmp_path) as bench:
        yield bench


@pytest.fixture
async def stores(bench: Bench) -> Stores:
    return await bench.open()
