"""The running double: coordinators over one store, on a thread of its own.

It replies while a test blocks in a synchronous driver; sync and async tests can use it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.arango_double.access import Access
from tests.arango_double.api import Api
from tests.arango_double.coordinator import Coordinator
from tests.arango_double.fault_injection import FaultInjector
from tests.arango_double.faults import FaultRegistry
from tests.arango_double.request_counter import RequestCounter
from tests.arango_double.store import Store
from tests.arango_double.stored_documents import StoredDocuments


class ArangoDouble:
    """Attributes: unknown: Messages of all 501 responses so far."""

    def __init__(self, coordinators: int, portal: BlockingPortal) -> None:
        self.store = Store()
        self.access = Access()
        self.faults = FaultRegistry(self.store)
        self.requests = RequestCounter()
        self._api = Api(self.store, self.access)
        self.unknown = self._api.unknown
        injector = FaultInjector(self._api, self.faults, self.requests)
        self._coordinators = [Coordinator(index, injector) for index in range(coordinators)]
        self._portal = portal

    @property
    def urls(self) -> list[str]:
        """One for each coordinator."""
        return [each.url for each in self._coordinators]

    def documents(self, database: str, collection: str) -> StoredDocuments:
        """The stored documents, read and changed without the API."""
        return StoredDocuments(self.store, database, collection)

    def take_down(self, coordinator: int = 0) -> None:
        """Break a coordinator's connections, forget its cursors, and refuse new connections."""
        self._portal.call(self._coordinators[coordinator].stop)
        with self.store.lock:
            self._api.cursors.expire(coordinator)

    def bring_up(self, coordinator: int = 0) -> None:
        """Let a coordinator listen again, on the same port."""
        self._portal.call(self._coordinators[coordinator].start)

    def downs(self, coordinator: int = 0) -> int:
        """How often a coordinator went down."""
        return self._coordinators[coordinator].downs

    def expire_cursors(self) -> None:
        with self.store.lock:
            self._api.cursors.expire()

    @contextmanager
    def key_locked(self, database: str, collection: str, key: str) -> Iterator[None]:
        """Inside the block every write to this key is answered with 409/1200."""
        locked = (database, collection, key)
        self.store.locked_keys.add(locked)
        try:
            yield
        finally:
            self.store.locked_keys.discard(locked)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        try:
            for coordinator in self._coordinators:
                await coordinator.start()
            yield
        finally:
            self.faults.clear()
            for coordinator in self._coordinators:
                await coordinator.close()


@contextmanager
def arango_double(coordinators: int = 1) -> Iterator[ArangoDouble]:
    with start_blocking_portal() as portal:
        double = ArangoDouble(coordinators, portal)
        with portal.wrap_async_context_manager(double.listening()):
            yield double
