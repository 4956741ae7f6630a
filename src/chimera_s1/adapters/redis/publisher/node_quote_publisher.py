"""Publishes quotes with one pipeline per node: the hot path.

Quotes that one node cannot accept now are returned at once; streams on other nodes do not wait.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Self

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.publisher.node_batch_outcome import NodeBatchOutcome, match_replies
from chimera_s1.adapters.redis.publisher.node_client import NodeBatch, NodeClient
from chimera_s1.adapters.redis.publisher.node_connection import Replies
from chimera_s1.adapters.redis.publisher.node_probe import NodeProbe
from chimera_s1.adapters.redis.publisher.quote_batch import QuoteBatch
from chimera_s1.adapters.redis.publisher.quote_encoder import QuoteEncoder, Redirect
from chimera_s1.adapters.redis.publisher.slot_map import SlotMap
from chimera_s1.adapters.redis.publisher.unanswered_quotes import UnansweredQuotes
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport

TIMEOUT_S = 2.0
STRAGGLER_WAIT_S = 0.25
REPLY_TIMEOUT_S = 2.0

_REDIRECTS_MAX = 5
_CLOSE_TIMEOUT_S = 1.0

_STILL_IN_FLIGHT = "Redis: the previous batch is still in flight"
_NO_MASTER = "Redis: a slot has no known master; refreshing the slot map"
_HELD_BACK = (
    "an earlier quote of this stream is in flight to another node; held back to keep the order"
)
_REDIRECT_LOOP = (
    f"Redis: more than {_REDIRECTS_MAX} redirects for one quote; refreshing the slot map"
)


class NodeQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher`; as an async context manager it owns
    the tasks of its connections.

    Order within a stream: each node has at most one request in flight. A connection that closed
    with a request in flight is killed on the server before the next one is used. While a quote of
    a stream is in flight, the next one goes over the same connection or is held back.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        maxlen: int,
        window: WindowMs,
        clock: Clock,
        draw: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
        straggler_wait_s: float = STRAGGLER_WAIT_S,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        """Args:
        maxlen: Approximate length of each stream (`S1_STREAM_MAXLEN`).
        window: Decides the entry ids (`S1_CONFLATION_MS`).
        draw: Uniform in [0, 1), for the jitter between connection attempts.
        timeout_s: Limit of one call.
        straggler_wait_s: How long a call waits for slow nodes once another node is idle. Later
            replies still count.
        reply_timeout_s: Limit of one reply; then the connection is closed.
        """
        self._encoder = QuoteEncoder(maxlen, window)
        self._clock = clock
        self._draw = draw
        self._timeout_s = timeout_s
        self._straggler_wait_s = straggler_wait_s
        self._reply_timeout_ms = reply_timeout_s * 1000
        self._credentials = client.credentials
        self._slot_map = SlotMap(client, self._make_client, clock, self._notify_change)
        self._publish_lock = anyio.Lock(fast_acquire=True)
        self._change_event = anyio.Event()
        self._batch = QuoteBatch(())
        self._redirect_counts: dict[int, int] = {}
        self._late_acknowledged: set[Quote] = set()
        self._unanswered = UnansweredQuotes()
        self._counters = PublisherCounters()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._slot_map.run)
        self._tasks.start_soon(self._slot_map.abort_overdue, self._reply_timeout_ms)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._tasks is not None, "__aexit__ without __aenter__"
        # Otherwise requests in flight would race with the next publisher of these streams.
        with anyio.move_on_after(_CLOSE_TIMEOUT_S):
            while any(client.in_flight for client in self._slot_map):
                await self._wait_for_change()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def counters(self) -> PublisherCounters:
        return self._counters

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        assert self._tasks is not None, "use the publisher as an async context manager"
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        batch = QuoteBatch(quotes)
        with anyio.move_on_after(self._timeout_s):
            async with self._publish_lock:
                while not self._slot_map.loaded:
                    await self._wait_for_change()
                try:
                    self._dispatch(batch)
                    await self._wait_for_replies(batch)
                finally:
                    self._abandon(batch)
        if batch.settled < len(quotes) and not batch.causes:
            self._record_failure(batch, self._slot_map.refresh_error or _STILL_IN_FLIGHT)
        self._counters.published += batch.published
        return batch.report()

    async def ping(self) -> str:
        """The first problem of a master; empty if all accept writes."""
        with anyio.move_on_after(self._timeout_s):
            async with self._publish_lock:
                try:
                    return await self._probe_nodes()
                finally:
                    for client in self._slot_map:
                        client.overdue = not client.ready
        reasons = (client.unavailable_reason for client in self._slot_map)
        return next(
            filter(None, [*reasons, self._slot_map.refresh_error]),
            f"Redis: no reply within {self._timeout_s:g} s",
        )

    async def _probe_nodes(self) -> str:
        while not (self._slot_map.loaded and all(client.ready for client in self._slot_map)):
            await self._wait_for_change()
        probe = NodeProbe(self._slot_map, self._on_client_change)
        while not probe.done:
            await self._wait_for_change()
        return probe.problem

    def _make_client(self, address: RedisAddress) -> NodeClient:
        assert self._tasks is not None, "use the publisher as an async context manager"
        client = NodeClient(
            address,
            self._credentials,
            clock=self._clock,
            draw=self._draw,
            on_change=self._on_client_change,
        )
        self._tasks.start_soon(client.run)
        return client

    def _dispatch(self, batch: QuoteBatch) -> None:
        """Queue each quote at the client of its slot, and send what can be sent now."""
        self._batch, self._redirect_counts = batch, {}
        clients, streams = self._slot_map.clients, self._encoder
        in_flight = self._streams_in_flight()
        late_acknowledged, self._late_acknowledged = self._late_acknowledged, set()
        unassigned = held_back = False
        for position, quote in enumerate(batch.quotes):
            client = clients[streams[quote.instrument].slot]
            if client is None:
                unassigned = True
            elif late_acknowledged and quote in late_acknowledged:
                batch.acknowledge(position)
            elif in_flight and in_flight.get(quote.instrument, client) is not client:
                held_back = True
            else:
                client.queue.append(position)
        if unassigned:
            self._slot_map.request_refresh()
            self._record_failure(batch, self._slot_map.refresh_error or _NO_MASTER)
        if held_back:
            self._record_failure(batch, _HELD_BACK)
        for client in self._slot_map:
            self._send_queued(client)

    def _streams_in_flight(self) -> dict[InstrumentId, NodeClient]:
        return {
            client.in_flight.batch.quotes[position].instrument: client
            for client in self._slot_map
            if client.in_flight is not None
            for position in client.in_flight.positions
        }

    def _send_queued(self, client: NodeClient) -> None:
        if not (client.queue and client.ready):
            return
        node_batch = NodeBatch(
            self._batch, client.queue, frozenset(client.asking), self._sent_before(client.queue)
        )
        client.queue, client.asking = [], set()
        client.in_flight = node_batch
        client.send(
            self._encoder.encode_pipeline(
                self._batch.quotes, node_batch.positions, node_batch.asking
            ),
            len(node_batch.positions) + len(node_batch.asking),
            partial(self._on_replies, client, node_batch),
        )

    def _sent_before(self, positions: Iterable[int]) -> frozenset[int]:
        if not self._unanswered:
            return frozenset()
        quotes = self._batch.quotes
        return frozenset(p for p in positions if quotes[p] in self._unanswered)

    async def _wait_for_replies(self, batch: QuoteBatch) -> None:
        # A caller that publishes in a loop must not keep the replies from being read.
        await checkpoint()
        while (wait_s := self._remaining_wait_s(batch)) > 0:
            with anyio.move_on_after(wait_s) as waiting:
                await self._wait_for_change()
            if waiting.cancelled_caught:
                return

    def _remaining_wait_s(self, batch: QuoteBatch) -> float:
        """How long to wait for the next reply, s: as long as needed until one node is idle; then
        a little longer for slow nodes, and not at all for unavailable ones.
        """
        pending = [client for client in self._slot_map if client.has_pending(batch)]
        if not pending:
            return 0
        if any(client.idle for client in self._slot_map):
            reachable = not all(client.unavailable_reason for client in pending)
            return self._straggler_wait_s if reachable else 0
        # Quotes that wait for a connection get old; return them, the caller has newer ones.
        return self._straggler_wait_s if all(client.connection_error for client in pending) else inf

    def _abandon(self, batch: QuoteBatch) -> None:
        """End the call: drop its queued quotes; those in flight become uncertain."""
        for client in self._slot_map:
            if not client.has_pending(batch):
                continue
            client.queue, client.asking = [], set()
            if client.in_flight is not None and client.in_flight.batch is batch:
                batch.mark_uncertain(client.in_flight.positions)
                self._unanswered.add(client.in_flight.quotes())
                client.overdue = True
                self._slot_map.request_refresh(client.address)
            self._record_failure(
                batch, client.unavailable_reason or f"Redis {client.address}: not connected yet"
            )
        self._batch = QuoteBatch(())

    def _on_replies(
        self, client: NodeClient, node_batch: NodeBatch, replies: Replies | None
    ) -> None:
        client.in_flight, client.overdue = None, False
        if replies is not None:
            self._apply_outcome(
                client, node_batch, match_replies(node_batch, replies, client.address)
            )
        elif node_batch.batch is self._batch:
            node_batch.batch.mark_uncertain(node_batch.positions)
            self._unanswered.add(node_batch.quotes())
            self._record_failure(
                node_batch.batch,
                f"Redis {client.address}: connection closed before the reply; outcome unknown",
            )
        self._send_queued(client)
        self._notify_change()

    def _apply_outcome(
        self, client: NodeClient, node_batch: NodeBatch, outcome: NodeBatchOutcome
    ) -> None:
        self._counters.busy_replies += outcome.busy_replies
        self._counters.moved_replies += outcome.moved_replies
        self._counters.ask_replies += outcome.ask_replies
        self._counters.already_there += outcome.already_there
        self._counters.refused += len(outcome.ids_refused)
        client.write_error = "" if outcome.acknowledged else outcome.error
        if outcome.slot_map_stale:
            self._slot_map.request_refresh(client.address)
        for redirect in outcome.redirected.values():
            if redirect.moved:
                self._slot_map.clients[redirect.slot] = self._slot_map.client_at(redirect.target)
        if node_batch.batch is not self._batch:
            self._apply_late_outcome(client, node_batch, outcome)
            return
        node_batch.batch.acknowledge_all(outcome.acknowledged)
        for position in outcome.ids_refused:
            node_batch.batch.refuse_id(position)
        if outcome.error:
            self._record_failure(node_batch.batch, f"Redis {client.address}: {outcome.error}")
        if outcome.redirected:
            self._follow_redirects(outcome.redirected)

    def _apply_late_outcome(
        self, client: NodeClient, node_batch: NodeBatch, outcome: NodeBatchOutcome
    ) -> None:
        """For replies after their call has ended: its quotes were returned as unpublished, so the
        caller may publish them again, or has already.
        """
        # Sent again, they must not count as written by this process.
        self._unanswered.discard(node_batch.batch.quotes[p] for p in outcome.ids_refused)
        acknowledged = {node_batch.batch.quotes[position] for position in outcome.acknowledged}
        already_written = [p for p in client.queue if self._batch.quotes[p] in acknowledged]
        self._batch.acknowledge_all(already_written)
        client.queue = [p for p in client.queue if p not in set(already_written)]
        self._late_acknowledged |= acknowledged

    def _follow_redirects(self, redirected: Mapping[int, Redirect]) -> None:
        targets: set[NodeClient] = set()
        for position, redirect in redirected.items():
            hops = self._redirect_counts[position] = self._redirect_counts.get(position, 0) + 1
            if hops > _REDIRECTS_MAX:
                self._slot_map.request_refresh()
                self._batch.causes.append(_REDIRECT_LOOP)
                continue
            target = self._slot_map.client_at(redirect.target)
            target.queue.append(position)
            if not redirect.moved:
                target.asking.add(position)
            targets.add(target)
        for target in targets:
            self._send_queued(target)

    async def _wait_for_change(self) -> None:
        """Until the next reply, or the next connection made or lost."""
        if self._change_event.is_set():
            self._change_event = anyio.Event()
        await self._change_event.wait()

    def _notify_change(self) -> None:
        self._change_event.set()

    def _record_failure(self, batch: QuoteBatch, cause: str) -> None:
        self._counters.failures += 1
        batch.causes.append(cause)

    def _on_client_change(self, client: NodeClient) -> None:
        if client.unavailable_reason:
            self._slot_map.request_refresh(client.address)
        self._send_queued(client)
        self._notify_change()
