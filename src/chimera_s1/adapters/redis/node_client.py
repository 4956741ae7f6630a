"""The way to one node: connected for as long as it is wanted, one request in flight, never more."""

import logging
from collections.abc import Callable

import anyio
from redis.exceptions import RedisError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.errors import configuration_advice, failure_text
from chimera_s1.adapters.redis.node_connection import (
    ClientIdentity,
    NodeConnection,
    Replies,
    Settle,
    close_connection,
    open_connection,
)
from chimera_s1.adapters.redis.node_credentials import NodeAccess
from chimera_s1.adapters.redis.quote_batch import Batch
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

RECONNECT = Backoff(base_ms=20, max_wait_ms=500, jitter_ms=100)

_CONNECT_PATIENCE_S = 2.0

_log = logging.getLogger(__name__)


class Share:
    """What a node was sent of a batch in one request."""

    def __init__(self, batch: Batch, positions: list[int], asking: frozenset[int]) -> None:
        """Args:
        batch: The call it belongs to.

        positions: Of its quotes in the batch, in order.

        asking: Those sent behind an ASKING.
        """
        self.batch = batch
        self.positions = positions
        self.asking = asking


class NodeLane:
    """One node's connection, and what of the present call waits for it.

    Attributes:
        address: Of the node.

        queue: Positions in the present call's batch that wait to be sent.

        asking: Those of them that go behind an ASKING.

        share: What is in flight of a batch.

        late: Whether what is in flight was left behind by the call that sent it.

        defect: Why there is no connection; empty where there is one, or none was tried yet.

        refusal: Why the node took nothing of its last share; empty where it took something.
    """

    def __init__(
        self,
        address: RedisAddress,
        access: NodeAccess,
        *,
        clock: Clock,
        draw: Callable[[], float],
        on_change: Callable[["NodeLane"], None],
    ) -> None:
        """Args:
        address: Of the node.

        access: Credentials and TLS.

        clock: Time and waiting.

        draw: Uniform in [0, 1), for the jitter between attempts to connect.

        on_change: Told after each connection made or lost, and each attempt that failed.
        """
        self.address = address
        self.queue: list[int] = []
        self.asking: set[int] = set()
        self.share: Share | None = None
        self.late = False
        self.defect = ""
        self.refusal = ""
        self._access = access
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._connection: NodeConnection | None = None
        self._predecessor: ClientIdentity | None = None
        self._sent_ms = 0.0
        self._wanted = True
        self._want_changed = anyio.Event()

    @property
    def ready(self) -> bool:
        """Connected, and nothing is in flight."""
        return self._connection is not None and self._connection.usable

    @property
    def idle(self) -> bool:
        """Ready, and nothing waits."""
        return self.ready and not self.queue

    @property
    def wanted(self) -> bool:
        """Whether it is kept connected."""
        return self._wanted

    @property
    def complaint(self) -> str:
        """Why the node is not to be waited for, for people; empty for a node in order."""
        if self.defect:
            return f"Redis {self.address}: {self.defect}"
        return f"Redis {self.address} has not answered yet" if self.late else ""

    def want(self, wanted: bool) -> None:
        """Whether to stay connected; a node that left the cluster is not dialled for ever."""
        self._wanted = wanted
        self._want_changed.set()
        if not wanted and self._connection is not None:
            self._connection.abort("the node has no slots any more")

    def owes(self, batch: Batch) -> bool:
        """Whether something of *batch* waits here, or is in flight."""
        return bool(self.queue) or (self.share is not None and self.share.batch is batch)

    def send(self, data: bytes, expected: int, settle: Settle) -> None:
        """Send a request; only where the lane is ready."""
        assert self._connection is not None, "a lane that is ready has a connection"

        def settled(replies: Replies | None) -> None:
            if replies is None and self._connection is not None:
                self._predecessor = self._connection.identity
            settle(replies)

        self._sent_ms = self._clock.monotonic_ms()
        self._connection.request(data, expected, settled)

    def give_up_after(self, limit_ms: float) -> None:
        """End the connection where its request has been in flight for longer than *limit_ms*."""
        age_ms = self._clock.monotonic_ms() - self._sent_ms
        if self._connection is not None and self._connection.busy and age_ms > limit_ms:
            self._connection.abort(f"no answer within {limit_ms / 1000:g} s")

    async def run(self) -> None:
        """Stay connected until cancelled."""
        retries = 0
        while True:
            while not self._wanted:
                self._want_changed = anyio.Event()
                await self._want_changed.wait()
            healthy = await self._live_once()
            retries = 0 if healthy else retries + 1
            if retries:
                await self._clock.sleep_ms(RECONNECT.wait_ms(retries - 1, self._draw()))

    async def _live_once(self) -> bool:
        """Connect, and wait for the end; whether a request was answered meanwhile."""
        try:
            with anyio.fail_after(_CONNECT_PATIENCE_S):
                connection = await open_connection(self.address, self._access, self._predecessor)
        except (OSError, TimeoutError, RedisError) as error:
            self._lose(configuration_advice(error) or _failure(error))
            return False
        if self.defect:
            _log.info("Redis %s: connected again", self.address)
        self._connection, self._predecessor = connection, None
        self.defect = self.refusal = ""
        self.late = False
        self._on_change(self)
        try:
            await connection.ended.wait()
        finally:
            await close_connection(connection)
            self._connection = None
        if self._wanted:
            self._lose(connection.defect)
        return connection.answered

    def _lose(self, defect: str) -> None:
        if not self.defect:
            _log.warning("Redis %s: %s; connecting again", self.address, defect)
        self.defect = defect
        self._on_change(self)


def _failure(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no connection within {_CONNECT_PATIENCE_S:g} s"
    return failure_text(error)
