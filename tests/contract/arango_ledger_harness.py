"""The harness of the stores in ArangoDB: over the double, and over a real server if one is given.

ARANGO_URL gives the coordinators of the real one, separated by commas. ARANGO_USER (default root)
with ARANGO_PASSWORD (default empty) must be allowed to create databases. Each test creates one and
drops it.
"""

import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Any
from uuid import uuid4

from arango.client import ArangoClient
from arango.database import StandardDatabase

from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.dead_letters import ArangoDeadLetters
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.arango.installation_store import ArangoInstallationStore
from chimera_s1.adapters.arango.job_runs import ArangoJobRuns
from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.lease_store import ArangoLeaseStore
from chimera_s1.adapters.arango.transfer_projection import ArangoTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, Document, commit_key
from chimera_s1.domain.ports.event_store import AppendResult
from tests.arango_double import ArangoDouble, arango_double
from tests.arango_double.faults import Fault
from tests.contract.ledger_commits import LEDGER
from tests.contract.ledger_harness import LETTERS_MAX, LedgerHarness, StoreSet
from tests.fakes.manual_clock import ManualClock

DATABASE = "chimera"
COMMITS_PATH = f"/_api/document/{COMMITS}"
QUERY_PATH = "/_api/cursor"
DOCUMENTS_PATH = "/_api/document"
COORDINATORS = 2
FAILOVER_REPLIES = (
    (QUERY_PATH, "410/1500", 5),
    (QUERY_PATH, "404/1591", 11),
    (DOCUMENTS_PATH, "apply-then-410/1654", 13),
    (DOCUMENTS_PATH, "apply-then-406/1489", 17),
    (DOCUMENTS_PATH, "406/1490", 19),
    (DOCUMENTS_PATH, "410/21", 23),
    (DOCUMENTS_PATH, "503/1496", 29),
)
"""What one of so many requests meets while leaders change."""


class ArangoLedgerHarness(LedgerHarness):
    """A database that outlives the connections to it."""

    commits_per_writer = 3

    def __init__(self, exit_stack: AsyncExitStack) -> None:
        self._exit_stack = exit_stack
        self._clock = ManualClock()

    async def open(self) -> StoreSet:
        await self._exit_stack.aclose()
        arango = await self._exit_stack.enter_async_context(self._connect())
        return StoreSet(
            self._event_store(arango),
            ArangoCursorStore(arango),
            ArangoLeaseStore(arango, self._clock),
            ArangoTransferProjection(arango),
            ArangoInstallationStore(arango),
            ArangoJobRuns(arango),
            ArangoDeadLetters(arango, limit=LETTERS_MAX),
        )

    async def pass_time(self, duration_ms: int) -> None:
        await self._clock.advance(duration_ms)

    @abstractmethod
    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]: ...

    def _event_store(self, arango: ArangoDatabase) -> ArangoEventStore:
        return ArangoEventStore(arango, LEDGER)


class ArangoDoubleLedgerHarness(ArangoLedgerHarness):
    """The double."""

    def __init__(self, double: ArangoDouble, exit_stack: AsyncExitStack) -> None:
        super().__init__(exit_stack)
        self._double = double

    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        return connect_arango(self._double.urls, user="root", read_password=str, database=DATABASE)

    def lose_next_reply(self) -> None:
        # The read that would resolve the outcome fails too.
        self._double.faults.arm("apply-then-drop", method="POST", path=COMMITS_PATH)
        self._double.faults.arm("401/11", method="GET", path=COMMITS_PATH)

    async def load_document(self, seq: int) -> Document:
        return without_system_fields(
            self._double.documents(DATABASE, COMMITS).get(commit_key(LEDGER, seq))
        )

    async def save_document(self, seq: int, document: Document | None) -> None:
        stored = self._double.documents(DATABASE, COMMITS)
        if document is None:
            stored.delete(commit_key(LEDGER, seq))
        else:
            stored.put(commit_key(LEDGER, seq), document)


class FailoverLedgerHarness(ArangoDoubleLedgerHarness):
    """The double while its leaders change all the time: many requests fail, applied or not."""

    commits_per_writer = 1
    loses_replies = True

    def __init__(self, double: ArangoDouble, exit_stack: AsyncExitStack) -> None:
        super().__init__(double, exit_stack)
        self._faults: list[Fault] = []

    async def open(self) -> StoreSet:
        self._double.faults.clear()
        stores = await super().open()
        self._faults += [
            self._double.faults.arm(name, path=path, times=None, every=every)
            for path, name, every in FAILOVER_REPLIES
        ]
        return stores

    def fault_count(self) -> int:
        return sum(fault.fired for fault in self._faults)


class LossyArangoEventStore(ArangoEventStore):
    """The replies to the next `replies_to_lose` appends are lost after the commit."""

    replies_to_lose = 0

    async def append(self, commit: Commit) -> AppendResult:
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the reply was lost after the commit")
        return result


class ArangoServerLedgerHarness(ArangoLedgerHarness):
    """A real server; documents are changed over a second connection."""

    def __init__(
        self, server: "ArangoServerAddress", database: str, exit_stack: AsyncExitStack
    ) -> None:
        super().__init__(exit_stack)
        self._server = server
        self._name = database
        self._events: LossyArangoEventStore | None = None

    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        server = self._server
        return connect_arango(
            server.urls,
            user=server.user,
            read_password=lambda: server.password,
            database=self._name,
        )

    def _event_store(self, arango: ArangoDatabase) -> ArangoEventStore:
        self._events = LossyArangoEventStore(arango, LEDGER)
        return self._events

    def lose_next_reply(self) -> None:
        assert self._events is not None
        self._events.replies_to_lose = 1

    async def load_document(self, seq: int) -> Document:
        with self._server.database(self._name) as database:
            found: Any = database.collection(COMMITS).get(commit_key(LEDGER, seq))
        return without_system_fields(found)

    async def save_document(self, seq: int, document: Document | None) -> None:
        key = commit_key(LEDGER, seq)
        with self._server.database(self._name) as database:
            commits: Any = database.collection(COMMITS)
            # Documents are swapped one by one: for a moment two have the same commit id.
            for index in commits.indexes():
                if index["unique"] and index["type"] == "persistent":
                    commits.delete_index(index["id"])
            if document is None:
                commits.delete(key)
            else:
                commits.insert({**document, "_key": key}, overwrite_mode="replace")


class ArangoServerAddress:
    """A real server, as given by the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.urls: Sequence[str] = environment["ARANGO_URL"].split(",")
        self.user = environment.get("ARANGO_USER", "root")
        self.password = environment.get("ARANGO_PASSWORD", "")

    @contextmanager
    def database(self, name: str) -> Iterator[StandardDatabase]:
        client = ArangoClient(self.urls[0])
        try:
            yield client.db(name, username=self.user, password=self.password)
        finally:
            client.close()


def without_system_fields(document: Mapping[str, object]) -> Document:
    return {name: value for name, value in document.items() if not name.startswith("_")}


@asynccontextmanager
async def arango_double_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as exit_stack:
            yield ArangoDoubleLedgerHarness(double, exit_stack)
        assert not double.unknown


@asynccontextmanager
async def arango_failover_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as exit_stack:
            yield FailoverLedgerHarness(double, exit_stack)
        assert not double.unknown


@asynccontextmanager
async def arango_server_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    server = ArangoServerAddress(os.environ)
    name = f"chimera_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as exit_stack:
            yield ArangoServerLedgerHarness(server, name, exit_stack)
    finally:
        with server.database("_system") as system:
            system.delete_database(name, ignore_missing=True)


ARANGO_LEDGER_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[LedgerHarness]]] = {
    "arango_double": arango_double_ledger_harness,
    "arango_failover": arango_failover_ledger_harness,
    **({"arango_server": arango_server_ledger_harness} if "ARANGO_URL" in os.environ else {}),
}
"""`arango_server` only with ARANGO_URL: `make test-arango` runs it."""
