"""Client of one node: stays connected, with at most one request in flight."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator

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
from chimera_s1.adapters.redis.tls import no_tls_answer
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

RECONNECT_BACKOFF = Backoff(base_ms=20, max_wait_ms=500, jitter_ms=100)

_CONNECT_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class NodeBatch:
    """The quotes of a batch that one node receives in one request, by their positions.

    Attributes:
        asking: The positions to send with ASKING in front.
        sent_before: The positions that were sent before and not answered.
        slot_map_version: Of the slot map that named the node; None if a redirect did.
    """

    def __init__(
        self, batch: QuoteBatch, positions: list[int], slot_map_version: int | None
    ) -> None:
        self.batch = batch
        self.positions = positions
        self.asking: set[int] = set()
        self.sent_before: frozenset[int] = frozenset()
        self.slot_map_version = slot_map_version

    def quotes(self) -> Iterator[Quote]:
        return (self.batch.quotes[position] for position in self.positions)

    def without(self, quotes: Collection[Quote]) -> list[int]:
        """Remove *quotes*; returns their positions."""
        removed = [p for p in self.positions if self.batch.quotes[p] in quotes]
        self.positions = [p for p in self.positions if p not in set(removed)]
        self.asking.difference_update(removed)
        return removed


class NodeClient:
    """One node's connection and its queue.

    Attributes:
        queue: Requests that wait to be sent, in order.
        overdue: Whether the call that sent `in_flight` has ended without its replies.
        late_acknowledged: Quotes acknowledged after their call had ended, since the last call.
        connection_error: Why it is not connected; empty if connected or not yet tried.
        write_error: Why the node acknowledged nothing of its last batch; empty if it did.
        stream_errors: Why it refuses single streams, until it acknowledges a quote of them.
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
        draw: Uniform in [0, 1), for the jitter between connection attempts.
        on_change: Called when a connection is made or lost, and when an attempt fails.
        """
        self.address = address
        self.name = str(address)
        self.queue: deque[NodeBatch] = deque()
        self.late_acknowledged: set[Quote] = set()
        self.in_flight: NodeBatch | None = None
        self.overdue = False
        self.connection_error = ""
        self.write_error = ""
        self.stream_errors: dict[InstrumentId, str] = {}
        self._credentials = credentials
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._connection: NodeConnection | None = None
        self._predecessor: ClientId | None = None
        self._sent_ms = 0.0
        self._keep_connected = True
        self._keep_connected_changed = anyio.Event()
        self._changed = anyio.Event()

    @property
    def ready(self) -> bool:
        """Connected, with nothing in flight."""
        return self._connection is not None and self._connection.ready

    @property
    def idle(self) -> bool:
        """Ready, with an empty queue."""
        return self.ready and not self.queue

    @property
    def unanswered(self) -> Iterator[NodeBatch]:
        """Requests in flight or queued."""
        if self.in_flight is not None:
            yield self.in_flight
        yield from self.queue

    @property
    def keep_connected(self) -> bool:
        return self._keep_connected

    @property
    def unavailable_reason(self) -> str:
        """Why not to wait for this node; empty if it is available."""
        if self.connection_error:
            return f"Redis {self.address}: {self.connection_error}"
        return f"Redis {self.address}: reply overdue" if self.overdue else ""

    def set_keep_connected(self, keep_connected: bool) -> None:
        """False stops reconnecting to a node that left the cluster."""
        self._keep_connected = keep_connected
        self._keep_connected_changed.set()
        if not keep_connected and self._connection is not None:
            self._connection.abort("node serves no slots any more")

    async def wait_for_change(self) -> None:
        """Until the next reply, or the next connection made or lost."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def notify_change(self) -> None:
        """Wake up `wait_for_change`, and the calls that wait for this node."""
        self._changed.set()
        for node_batch in self.unanswered:
            node_batch.batch.notify_change()

    def send(self, data: bytes, reply_count: int, on_replies: ReplyCallback) -> None:
        """Send one request; only while `ready`."""
        assert self._connection is not None, "not connected"

        def complete(replies: Replies | None) -> None:
            if replies is None and self._connection is not None:
                self._predecessor = self._connection.client_id
            on_replies(replies)

        self._sent_ms = self._clock.monotonic_ms()
        self._connection.request(data, reply_count, complete)

    def abort_if_overdue(self, limit_ms: float) -> None:
        """Close the connection if its request has been in flight for longer than *limit_ms*."""
        age_ms = self._clock.monotonic_ms() - self._sent_ms
        if self._connection is not None and self._connection.busy and age_ms > limit_ms:
            self._connection.abort(f"no reply within {limit_ms / 1000:g} s")

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
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
        """Connect and wait for the end; True if the connection answered a request."""
        connection = await self._connect()
        if connection is None:
            return False
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

    async def _connect(self) -> NodeConnection | None:
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_S):
                connection = await open_connection(
                    self.address, self._credentials, self._predecessor
                )
        except (OSError, TimeoutError, RedisError) as error:
            self._record_disconnect(configuration_advice(error) or self._connect_error_text(error))
            return None
        if self.connection_error:
            _log.info("Redis %s: reconnected", self.address)
        return connection

    def _record_disconnect(self, reason: str) -> None:
        if not self.connection_error:
            _log.warning("Redis %s: %s; reconnecting", self.address, reason)
        self.connection_error = reason
        self._on_change(self)

    def _connect_error_text(self, error: BaseException) -> str:
        if not isinstance(error, TimeoutError) or str(error):
            return error_text(error)
        text = f"no connection within {_CONNECT_TIMEOUT_S:g} s"
        return no_tls_answer(text) if self._credentials.tls is not None else text
