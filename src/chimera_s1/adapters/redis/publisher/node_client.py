"""The way to one node: connected for as long as it is wanted, one request in flight, never more."""

import logging
from collections.abc import Callable

import anyio
from redis.exceptions import RedisError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.errors import configuration_advice, error_text
from chimera_s1.adapters.redis.node_credentials import NodeCredentials
from chimera_s1.adapters.redis.publisher.node_connection import (
    ClientId,
    NodeConnection,
    Replies,
    ReplyCallback,
    close_connection,
    open_connection,
)
from chimera_s1.adapters.redis.publisher.quote_batch import QuoteBatch
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

RECONNECT_BACKOFF = Backoff(base_ms=20, max_wait_ms=500, jitter_ms=100)

_CONNECT_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class NodeBatch:
    """What a node was sent of a batch in one request."""

    def __init__(self, batch: QuoteBatch, positions: list[int], asking: frozenset[int]) -> None:
        """Args:
        batch: The call it belongs to.

        positions: Of its quotes in the batch, in order.

        asking: Those sent behind an ASKING.
        """
        self.batch = batch
        self.positions = positions
        self.asking = asking


class NodeClient:
    """One node's connection, and what of the present call waits for it.

    Attributes:
        address: Of the node.

        queue: Positions in the present call's batch that wait to be sent.

        asking: Those of them that go behind an ASKING.

        in_flight: What is in flight of a batch.

        overdue: Whether what is in flight was left behind by the call that sent it.

        connection_error: Why there is no connection; empty where there is one, or none was tried
            yet.

        write_error: Why the node took nothing of its last share; empty where it took something.
    """

    def __init__(
        self,
        address: RedisAddress,
        credentials: NodeCredentials,
        *,
        clock: Clock,
        draw: Callable[[], float],
        on_change: Callable[["NodeClient"], None],
    ) -> None:
        """Args:
        address: Of the node.

        credentials: Credentials and TLS.

        clock: Time and waiting.

        draw: Uniform in [0, 1), for the jitter between attempts to connect.

        on_change: Told after each connection made or lost, and each attempt that failed.
        """
        self.address = address
        self.queue: list[int] = []
        self.asking: set[int] = set()
        self.in_flight: NodeBatch | None = None
        self.overdue = False
        self.connection_error = ""
        self.write_error = ""
        self._credentials = credentials
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._connection: NodeConnection | None = None
        self._predecessor: ClientId | None = None
        self._sent_ms = 0.0
        self._keep_connected = True
        self._keep_connected_changed = anyio.Event()

    @property
    def ready(self) -> bool:
        """Connected, and nothing is in flight."""
        return self._connection is not None and self._connection.ready

    @property
    def idle(self) -> bool:
        """Ready, and nothing waits."""
        return self.ready and not self.queue

    @property
    def keep_connected(self) -> bool:
        """Whether it is kept connected."""
        return self._keep_connected

    @property
    def unavailable_reason(self) -> str:
        """Why the node is not to be waited for, for people; empty for a node in order."""
        if self.connection_error:
            return f"Redis {self.address}: {self.connection_error}"
        return f"Redis {self.address} has not answered yet" if self.overdue else ""

    def set_keep_connected(self, keep_connected: bool) -> None:
        """Whether to stay connected; a node that left the cluster is not dialled for ever."""
        self._keep_connected = keep_connected
        self._keep_connected_changed.set()
        if not keep_connected and self._connection is not None:
            self._connection.abort("the node has no slots any more")

    def has_pending(self, batch: QuoteBatch) -> bool:
        """Whether something of *batch* waits here, or is in flight."""
        return bool(self.queue) or (self.in_flight is not None and self.in_flight.batch is batch)

    def send(self, data: bytes, expected: int, on_replies: ReplyCallback) -> None:
        """Send a request; only where the lane is ready."""
        assert self._connection is not None, "a lane that is ready has a connection"

        def settled(replies: Replies | None) -> None:
            if replies is None and self._connection is not None:
                self._predecessor = self._connection.client_id
            on_replies(replies)

        self._sent_ms = self._clock.monotonic_ms()
        self._connection.request(data, expected, settled)

    def abort_if_overdue(self, limit_ms: float) -> None:
        """End the connection where its request has been in flight for longer than *limit_ms*."""
        age_ms = self._clock.monotonic_ms() - self._sent_ms
        if self._connection is not None and self._connection.busy and age_ms > limit_ms:
            self._connection.abort(f"no answer within {limit_ms / 1000:g} s")

    async def run(self) -> None:
        """Stay connected until cancelled."""
        retries = 0
        while True:
            while not self._keep_connected:
                self._keep_connected_changed = anyio.Event()
                await self._keep_connected_changed.wait()
            healthy = await self._run_connection()
            retries = 0 if healthy else retries + 1
            if retries:
                await self._clock.sleep_ms(RECONNECT_BACKOFF.wait_ms(retries - 1, self._draw()))

    async def _run_connection(self) -> bool:
        """Connect, and wait for the end; whether a request was answered meanwhile."""
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_S):
                connection = await open_connection(
                    self.address, self._credentials, self._predecessor
                )
        except (OSError, TimeoutError, RedisError) as error:
            self._record_disconnect(configuration_advice(error) or _connect_error_text(error))
            return False
        if self.connection_error:
            _log.info("Redis %s: connected again", self.address)
        self._connection, self._predecessor = connection, None
        self.connection_error = self.write_error = ""
        self.overdue = False
        self._on_change(self)
        try:
            await connection.ended.wait()
        finally:
            await close_connection(connection)
            self._connection = None
        if self._keep_connected:
            self._record_disconnect(connection.end_reason)
        return connection.answered

    def _record_disconnect(self, defect: str) -> None:
        if not self.connection_error:
            _log.warning("Redis %s: %s; connecting again", self.address, defect)
        self.connection_error = defect
        self._on_change(self)


def _connect_error_text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no connection within {_CONNECT_TIMEOUT_S:g} s"
    return error_text(error)
