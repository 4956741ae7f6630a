"""
The double in a test's own process, on a thread of its own.

It answers while the test blocks in a driver that knows no event loop, from plain tests and from
async ones alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.arango_double.access import Access
from tests.arango_double.cluster import Cluster
from tests.arango_double.faults import FaultRegistry
from tests.arango_double.journal import Journal
from tests.arango_double.store import Store
from tests.arango_double.tampering import StoredDocuments


class ArangoDouble:
    """
    A running double.

    Attributes:
        urls: One of each coordinator.

        control_url: The same powers over HTTP.

        faults: Arm them here.

        journal: Requests that came in.

        access: Users and tokens.

        unknown: What was answered with 501.
    """

    def __init__(self, cluster: Cluster, portal: BlockingPortal) -> None:
        self.urls = cluster.urls
        self.control_url = cluster.control_url
        self.faults: FaultRegistry = cluster.faults
        self.journal: Journal = cluster.journal
        self.access: Access = cluster.access
        self.store: Store = cluster.store
        self.unknown: list[str] = cluster.api.unknown
        self._cluster = cluster
        self._portal = portal

    def documents(self, database: str, collection: str) -> StoredDocuments:
        """
        What is stored, for looking at and tampering with.
        """
        return StoredDocuments(self.store, database, collection)

    def take_down(self, coordinator: int = 0) -> None:
        """
        A coordinator breaks its connections and refuses new ones.
        """
        self._portal.call(self._cluster.take_down, coordinator)

    def bring_up(self, coordinator: int = 0) -> None:
        """
        A coordinator listens again, on its old port.
        """
        self._portal.call(self._cluster.bring_up, coordinator)

    def downs(self, coordinator: int = 0) -> int:
        """
        How often a coordinator went down.
        """
        return self._cluster.coordinators[coordinator].downs

    def forget_cursors(self) -> None:
        """
        All open cursors expire.
        """
        with self.store.lock:
            self._cluster.api.cursors.forget()

    @contextmanager
    def key_locked(self, database: str, collection: str, key: str) -> Iterator[None]:
        """
        Somebody else is writing this key: every write to it is 409/1200.
        """
        place = (database, collection, key)
        self.store.busy.add(place)
        try:
            yield
        finally:
            self.store.busy.discard(place)


@contextmanager
def arango_double(coordinators: int = 1, port: int = 0) -> Iterator[ArangoDouble]:
    """
    Run a double while the context lasts.

    Args:
        port: Of the first coordinator, the others follow; 0 lets the system choose.
    """
    cluster = Cluster(coordinators, port)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(cluster.listening()),
    ):
        yield ArangoDouble(cluster, portal)
