"""Which node's lane serves which slot: read from the official client, patched by MOVED."""

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
    """The lanes, and the slots they serve. Reading it never waits for the cluster.

    Attributes:
        clients: The lane of each slot; None where nobody is known to serve it.

        refresh_error: Why the cluster could not be asked, for people; empty where it could.
    """

    def __init__(
        self,
        client: ClusterClient,
        make_client: MakeNodeClient,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """Args:
        client: Asked for the slot map; used by nobody else.

        make_client: Makes, and starts, the lane of a node that was not met before.

        clock: For the pause between two questions.

        on_change: Told after each answer, and each question that failed.
        """
        self.clients: list[NodeClient | None] = [None] * SLOT_COUNT
        self.refresh_error = ""
        self._client = client
        self._make_client = make_client
        self._clock = clock
        self._on_change = on_change
        self._by_address: dict[RedisAddress, NodeClient] = {}
        self._refresh_requested = anyio.Event()
        self._failed_node: RedisAddress | None = None

    def __iter__(self) -> Iterator[NodeClient]:
        """Every lane that is kept connected, or has something to send or in flight."""
        return (
            lane
            for lane in self._by_address.values()
            if lane.keep_connected or lane.in_flight or lane.queue
        )

    @property
    def loaded(self) -> bool:
        """Whether the cluster was ever heard."""
        return bool(self._by_address)

    def client_at(self, address: RedisAddress) -> NodeClient:
        """The lane of the node at *address*, made where it was unknown."""
        lane = self._by_address.get(address)
        if lane is None:
            lane = self._by_address[address] = self._make_client(address)
        lane.set_keep_connected(keep_connected=True)
        return lane

    def request_refresh(self, failed_node: RedisAddress | None = None) -> None:
        """Have the cluster asked again, soon.

        Args:
            failed_node: Who did not answer, or answered that the map is wrong; asked last.
        """
        self._failed_node = failed_node
        self._refresh_requested.set()

    async def run(self) -> None:
        """Ask the cluster whenever in doubt, until cancelled."""
        self._rebuild()
        if not self.loaded:
            self._refresh_requested.set()
        while True:
            await self._refresh_requested.wait()
            await self._refresh()
            await self._clock.sleep_ms(_REFRESH_INTERVAL_MS)

    async def abort_overdue(self, reply_timeout_ms: float) -> None:
        """End connections that leave a request unanswered for longer than *reply_timeout_ms*."""
        while True:
            await self._clock.sleep_ms(reply_timeout_ms / 4)
            for lane in self:
                lane.abort_if_overdue(reply_timeout_ms)

    async def _refresh(self) -> None:
        suspect, self._failed_node, self._refresh_requested = self._failed_node, None, anyio.Event()
        try:
            with anyio.fail_after(_REFRESH_TIMEOUT_S):
                await self._client.refresh(str(suspect) if suspect else None)
            self._rebuild()
            self.refresh_error = ""
        except REDIS_FAILURES as error:
            self._record_refresh_error(configuration_advice(error) or error_text(error))
            self._refresh_requested.set()
        self._on_change()

    def _rebuild(self) -> None:
        owners = self._client.slot_owners()
        serving = set(owners.values())
        lanes = {address: self.client_at(address) for address in serving}
        self.clients = [None] * SLOT_COUNT
        for slot, address in owners.items():
            self.clients[slot] = lanes[address]
        for address, lane in self._by_address.items():
            if address not in serving and (lane.idle or lane.unavailable_reason):
                lane.set_keep_connected(keep_connected=False)

    def _record_refresh_error(self, defect: str) -> None:
        if not self.refresh_error:
            _log.warning("Redis: the slot map cannot be read: %s", defect)
        self.refresh_error = f"Redis: {defect}"
