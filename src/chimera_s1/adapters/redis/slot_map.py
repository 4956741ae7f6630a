"""Which node's lane serves which slot: read from the official client, patched by MOVED."""

import logging
from collections.abc import Callable, Iterator

import anyio

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_assembly import SLOTS
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, configuration_advice, failure_text
from chimera_s1.adapters.redis.node_client import NodeLane
from chimera_s1.domain.ports.clock import Clock

MakeLane = Callable[[RedisAddress], NodeLane]

_PAUSE_MS = 250
_REFRESH_PATIENCE_S = 5.0

_log = logging.getLogger(__name__)


class SlotMap:
    """The lanes, and the slots they serve. Reading it never waits for the cluster.

    Attributes:
        lanes: The lane of each slot; None where nobody is known to serve it.

        defect: Why the cluster could not be asked, for people; empty where it could.
    """

    def __init__(
        self,
        client: ClusterClient,
        make_lane: MakeLane,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """Args:
        client: Asked for the slot map; used by nobody else.

        make_lane: Makes, and starts, the lane of a node that was not met before.

        clock: For the pause between two questions.

        on_change: Told after each answer, and each question that failed.
        """
        self.lanes: list[NodeLane | None] = [None] * SLOTS
        self.defect = ""
        self._client = client
        self._make_lane = make_lane
        self._clock = clock
        self._on_change = on_change
        self._by_address: dict[RedisAddress, NodeLane] = {}
        self._doubt = anyio.Event()
        self._suspect: RedisAddress | None = None

    def __iter__(self) -> Iterator[NodeLane]:
        """Every lane that is kept connected, or has something to send or in flight."""
        return (
            lane for lane in self._by_address.values() if lane.wanted or lane.share or lane.queue
        )

    @property
    def known(self) -> bool:
        """Whether the cluster was ever heard."""
        return bool(self._by_address)

    def lane_at(self, address: RedisAddress) -> NodeLane:
        """The lane of the node at *address*, made where it was unknown."""
        lane = self._by_address.get(address)
        if lane is None:
            lane = self._by_address[address] = self._make_lane(address)
        lane.want(wanted=True)
        return lane

    def doubt(self, suspect: RedisAddress | None = None) -> None:
        """Have the cluster asked again, soon.

        Args:
            suspect: Who did not answer, or answered that the map is wrong; asked last.
        """
        self._suspect = suspect
        self._doubt.set()

    async def run(self) -> None:
        """Ask the cluster whenever in doubt, until cancelled."""
        self._read()
        if not self.known:
            self._doubt.set()
        while True:
            await self._doubt.wait()
            await self._ask()
            await self._clock.sleep_ms(_PAUSE_MS)

    async def give_up_late(self, limit_ms: float) -> None:
        """End connections that leave a request unanswered for longer than *limit_ms*."""
        while True:
            await self._clock.sleep_ms(limit_ms / 4)
            for lane in self:
                lane.give_up_after(limit_ms)

    async def _ask(self) -> None:
        suspect, self._suspect, self._doubt = self._suspect, None, anyio.Event()
        try:
            with anyio.fail_after(_REFRESH_PATIENCE_S):
                await self._client.refresh(str(suspect) if suspect else None)
            self._read()
            self.defect = ""
        except REDIS_FAILURES as error:
            self._fail(configuration_advice(error) or failure_text(error))
            self._doubt.set()
        self._on_change()

    def _read(self) -> None:
        owners = self._client.slot_owners()
        serving = set(owners.values())
        lanes = {address: self.lane_at(address) for address in serving}
        self.lanes = [None] * SLOTS
        for slot, address in owners.items():
            self.lanes[slot] = lanes[address]
        for address, lane in self._by_address.items():
            if address not in serving and (lane.idle or lane.complaint):
                lane.want(wanted=False)

    def _fail(self, defect: str) -> None:
        if not self.defect:
            _log.warning("Redis: the slot map cannot be read: %s", defect)
        self.defect = f"Redis: {defect}"
