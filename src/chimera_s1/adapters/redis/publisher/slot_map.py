"""Which node serves which slot: read by the official client, updated by MOVED replies."""

import logging
from collections.abc import Callable, Iterator

import anyio

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, configuration_advice, error_text
from chimera_s1.adapters.redis.keys import SLOT_COUNT
from chimera_s1.adapters.redis.publisher.node_client import NodeClient
from chimera_s1.domain.ports.clock import Clock

MakeNodeClient = Callable[[RedisAddress], NodeClient]

_REFRESH_INTERVAL_MS = 250
_REFRESH_TIMEOUT_S = 5.0

_NOT_READ = "Redis: the slot map was not read yet"
_NO_MASTER = "Redis: a slot has no known master; refreshing the slot map"

_log = logging.getLogger(__name__)


class SlotMap:
    """Iterates over the clients that stay connected or have requests queued or in flight.

    Attributes:
        clients: One per slot; None where no master is known.
        version: Changes when a slot may have changed its owner.
        refresh_error: Why the last refresh failed; empty if it succeeded.
    """

    def __init__(
        self,
        client: ClusterClient,
        make_client: MakeNodeClient,
        clock: Clock,
    ) -> None:
        self.clients: list[NodeClient | None] = [None] * SLOT_COUNT
        self.version = 0
        self.refresh_error = ""
        self._cluster = client
        self._make_client = make_client
        self._clock = clock
        self._loaded = anyio.Event()
        self._by_address: dict[RedisAddress, NodeClient] = {}
        self._masters: tuple[NodeClient, ...] = ()
        self._refresh_requested = anyio.Event()
        self._failed_node: RedisAddress | None = None

    def __iter__(self) -> Iterator[NodeClient]:
        return (
            client
            for client in self._by_address.values()
            if client.keep_connected or client.in_flight or client.queue
        )

    async def wait_until_loaded(self) -> None:
        """Until a slot map was read."""
        if not self._loaded.is_set():
            await self._loaded.wait()

    @property
    def problem(self) -> str:
        """Why a slot has no client; empty if all have one."""
        if None not in self.clients:
            return ""
        return self.refresh_error or (_NO_MASTER if self._masters else _NOT_READ)

    @property
    def masters(self) -> tuple[NodeClient, ...]:
        """The clients of the nodes that serve slots."""
        return self._masters

    def move_slot(self, slot: int, address: RedisAddress) -> NodeClient:
        """A MOVED reply named the new owner of *slot*."""
        client = self.clients[slot] = self.client_at(address)
        if client not in self._masters:
            self._masters = (*self._masters, client)
        self.version += 1
        return client

    def client_at(self, address: RedisAddress) -> NodeClient:
        """The client of the node at *address*, created for a new node, and kept connected."""
        client = self._by_address.get(address)
        if client is None:
            client = self._by_address[address] = self._make_client(address)
        client.set_keep_connected(keep_connected=True)
        return client

    def request_refresh(self, failed_node: RedisAddress | None = None) -> None:
        """Args: failed_node: Gave no reply, or replied that the map is stale; asked last."""
        self._failed_node = failed_node
        self._refresh_requested.set()

    async def run(self) -> None:
        """Refresh on request, until cancelled."""
        self._rebuild()
        if not self._masters:
            self._refresh_requested.set()
        while True:
            await self._refresh_requested.wait()
            await self._refresh()
            await self._clock.sleep_ms(_REFRESH_INTERVAL_MS)

    async def abort_overdue(self, reply_timeout_ms: float) -> None:
        """Close connections whose request is in flight for longer, until cancelled."""
        while True:
            await self._clock.sleep_ms(reply_timeout_ms / 4)
            for client in self:
                client.abort_if_overdue(reply_timeout_ms)

    async def _refresh(self) -> None:
        failed_node, self._failed_node = self._failed_node, None
        self._refresh_requested = anyio.Event()
        try:
            with anyio.fail_after(_REFRESH_TIMEOUT_S):
                await self._cluster.refresh(str(failed_node) if failed_node else None)
            self._rebuild()
            self.refresh_error = ""
        except REDIS_FAILURES as error:
            self._record_refresh_error(configuration_advice(error) or error_text(error))
            self._refresh_requested.set()

    def _rebuild(self) -> None:
        owners = self._cluster.slot_owners()
        serving = set(owners.values())
        clients = {address: self.client_at(address) for address in serving}
        self.clients = [None] * SLOT_COUNT
        for slot, address in owners.items():
            self.clients[slot] = clients[address]
        self._masters = tuple(clients.values())
        self.version += 1
        if clients:
            self._loaded.set()
        for address, client in self._by_address.items():
            if address not in serving and (client.idle or client.unavailable_reason):
                client.set_keep_connected(keep_connected=False)

    def _record_refresh_error(self, reason: str) -> None:
        if not self.refresh_error:
            _log.warning("Redis: slot map refresh failed: %s; retrying", reason)
        self.refresh_error = f"Redis: {reason}"
