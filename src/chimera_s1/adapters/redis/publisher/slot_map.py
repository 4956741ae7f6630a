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

_log = logging.getLogger(__name__)


class SlotMap:
    """Iterates over the clients that stay connected or have requests queued or in flight.

    Attributes:
        clients: One per slot; None where no master is known.
        refresh_error: Why the last refresh failed; empty if it succeeded.
    """

    def __init__(
        self,
        client: ClusterClient,
        make_client: MakeNodeClient,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """Args: on_change: Called after each refresh, failed ones too."""
        self.clients: list[NodeClient | None] = [None] * SLOT_COUNT
        self.refresh_error = ""
        self._cluster = client
        self._make_client = make_client
        self._clock = clock
        self._on_change = on_change
        self._by_address: dict[RedisAddress, NodeClient] = {}
        self._refresh_requested = anyio.Event()
        self._failed_node: RedisAddress | None = None

    def __iter__(self) -> Iterator[NodeClient]:
        return (
            client
            for client in self._by_address.values()
            if client.keep_connected or client.in_flight or client.queue
        )

    @property
    def loaded(self) -> bool:
        """Whether a slot map was ever read."""
        return bool(self._by_address)

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
        if not self.loaded:
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
        self._on_change()

    def _rebuild(self) -> None:
        owners = self._cluster.slot_owners()
        serving = set(owners.values())
        clients = {address: self.client_at(address) for address in serving}
        self.clients = [None] * SLOT_COUNT
        for slot, address in owners.items():
            self.clients[slot] = clients[address]
        for address, client in self._by_address.items():
            if address not in serving and (client.idle or client.unavailable_reason):
                client.set_keep_connected(keep_connected=False)

    def _record_refresh_error(self, reason: str) -> None:
        if not self.refresh_error:
            _log.warning("Redis: slot map refresh failed: %s; retrying", reason)
        self.refresh_error = f"Redis: {reason}"
