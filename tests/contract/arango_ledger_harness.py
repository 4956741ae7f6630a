"""The stores of a ledger in ArangoDB: over the double, and over a real server where there is one.

The real one is named by ARANGO_URL, coordinators comma separated; ARANGO_USER and ARANGO_PASSWORD
(root, none) must be allowed to make a database. Each test has one of its own, which is dropped.
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
from chimera_s1.adapters.arango.event_store import ArangoEventStore
from chimera_s1.adapters.arango.layout import COMMITS, LEASES
from chimera_s1.adapters.arango.lease_store import ArangoLeaseStore
from chimera_s1.adapters.arango.transfer_projection import ArangoTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, Document, commit_key
from chimera_s1.domain.ports.event_store import AppendResult
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.ledger_commits import LEDGER
from tests.contract.ledger_harness import LedgerHarness, StoreSet

DATABASE = "chimera"
COMMITS_PATH = f"/_api/document/{COMMITS}"
COORDINATORS = 2
_LEASE_MARGIN_MS = 30_000
_ALL_LEASES = "FOR x IN @@leases RETURN x"


class ArangoLedgerHarness(LedgerHarness):
    """A database that outlives the connections to it."""

    commits_per_writer = 3

    def __init__(self, opened: AsyncExitStack) -> None:
        self._exit_stack = opened

    async def open(self) -> StoreSet:
        await self._exit_stack.aclose()
        arango = await self._exit_stack.enter_async_context(self._connect())
        return StoreSet(
            self._event_store(arango),
            ArangoCursorStore(arango),
            ArangoLeaseStore(arango),
            ArangoTransferProjection(arango),
        )

    @abstractmethod
    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]: ...

    def _event_store(self, arango: ArangoDatabase) -> ArangoEventStore:
        return ArangoEventStore(arango, LEDGER)


class ArangoDoubleLedgerHarness(ArangoLedgerHarness):
    """The double, whose clock stands still but for `pass_time`."""

    def __init__(self, double: ArangoDouble, opened: AsyncExitStack) -> None:
        super().__init__(opened)
        self._double = double
        now_ms = double.store.now_ms()
        double.store._now_ms = lambda: now_ms

    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        return connect_arango(self._double.urls, user="root", password="", database=DATABASE)

    async def pass_time(self, duration_ms: int) -> None:
        self._double.store.clock_offset_ms += duration_ms

    def lose_next_reply(self) -> None:
        # And whoever would look what has become of it is turned away.
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


class LossyArangoEventStore(ArangoEventStore):
    """Loses what comes after the commit when it is told to."""

    replies_to_lose = 0

    async def append(self, commit: Commit) -> AppendResult:
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the reply was lost after the commit")
        return result


class ArangoServerLedgerHarness(ArangoLedgerHarness):
    """A real server, and a second connection to it."""

    def __init__(
        self, access: "ArangoServerAddress", database: str, opened: AsyncExitStack
    ) -> None:
        super().__init__(opened)
        self._access = access
        self._name = database
        self._carried_ms = 0
        self._events: LossyArangoEventStore | None = None

    def _connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        access = self._access
        return connect_arango(
            access.urls, user=access.user, password=access.password, database=self._name
        )

    def _event_store(self, arango: ArangoDatabase) -> ArangoEventStore:
        self._events = LossyArangoEventStore(arango, LEDGER)
        return self._events

    async def pass_time(self, duration_ms: int) -> None:
        # Its clock cannot be stopped: of a long time half a minute is left over, which comes with
        # the next short one. Leases are moved instead of the clock.
        short = duration_ms < _LEASE_MARGIN_MS
        moved_ms = duration_ms + (self._carried_ms if short else -_LEASE_MARGIN_MS)
        self._carried_ms = 0 if short else _LEASE_MARGIN_MS
        with self._access.database(self._name) as database:
            leases: Any = database.collection(LEASES)
            every: Any = database.aql.execute(_ALL_LEASES, bind_vars={"@leases": LEASES})
            for lease in list(every):
                leases.update({"_key": lease["_key"], "until_ms": lease["until_ms"] - moved_ms})

    def lose_next_reply(self) -> None:
        assert self._events is not None
        self._events.replies_to_lose = 1

    async def load_document(self, seq: int) -> Document:
        with self._access.database(self._name) as database:
            found: Any = database.collection(COMMITS).get(commit_key(LEDGER, seq))
        return without_system_fields(found)

    async def save_document(self, seq: int, document: Document | None) -> None:
        key = commit_key(LEDGER, seq)
        with self._access.database(self._name) as database:
            commits: Any = database.collection(COMMITS)
            # Documents change places one by one: two have the same id for a moment.
            for index in commits.indexes():
                if index["unique"] and index["type"] == "persistent":
                    commits.delete_index(index["id"])
            if document is None:
                commits.delete(key)
            else:
                commits.insert({**document, "_key": key}, overwrite_mode="replace")


class ArangoServerAddress:
    """What the environment says of a real server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.urls: Sequence[str] = environment["ARANGO_URL"].split(",")
        self.user = environment.get("ARANGO_USER", "root")
        self.password = environment.get("ARANGO_PASSWORD", "")

    @contextmanager
    def database(self, name: str) -> Iterator[StandardDatabase]:
        """Through python-arango as it comes."""
        client = ArangoClient(self.urls[0])
        try:
            yield client.db(name, username=self.user, password=self.password)
        finally:
            client.close()


def without_system_fields(document: Mapping[str, object]) -> Document:
    """*document* without what the server adds."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


@asynccontextmanager
async def arango_double_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as opened:
            yield ArangoDoubleLedgerHarness(double, opened)
        assert not double.unknown


@asynccontextmanager
async def arango_server_ledger_harness(_directory: Path) -> AsyncIterator[LedgerHarness]:
    access = ArangoServerAddress(os.environ)
    name = f"chimera_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as opened:
            yield ArangoServerLedgerHarness(access, name, opened)
    finally:
        with access.database("_system") as system:
            system.delete_database(name, ignore_missing=True)


ARANGO_LEDGER_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[LedgerHarness]]] = {
    "arango_double": arango_double_ledger_harness,
    **({"arango_server": arango_server_ledger_harness} if "ARANGO_URL" in os.environ else {}),
}
"""The second only where there is a server: `make test-arango` runs it."""
