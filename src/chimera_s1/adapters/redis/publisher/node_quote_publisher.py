"""Publishes quotes with one pipeline per node: the hot path.

Nodes are independent: each has its own connection and queue, and a call waits for the nodes of its
own quotes only.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
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
UNAVAILABLE_WAIT_S = 0.25
REPLY_TIMEOUT_S = 2.0

_REDIRECTS_MAX = 5
_CLOSE_TIMEOUT_S = 1.0

_HELD_BACK = (
    "an earlier quote of this stream is in flight to another node; held back to keep the order"
)
_REDIRECT_LOOP = (
    f"Redis: more than {_REDIRECTS_MAX} redirects for one quote; refreshing the slot map"
)


class NodeQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher`; as an async context manager it owns
    the tasks of its connections.

    Order within a stream: each node has at most one request in flight and a queue. A connection
    that closed with a request in flight is killed on the server before the next one is used. While
    a quote of a stream is queued at or in flight to one node, none goes to another.
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
        unavailable_wait_s: float = UNAVAILABLE_WAIT_S,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        """Args:
        maxlen: Approximate length of each stream (`S1_STREAM_MAXLEN`).
        window: Decides the entry ids (`S1_CONFLATION_MS`).
        draw: Uniform in [0, 1), for the jitter between connection attempts.
        timeout_s: Limit of one call. Later replies still count.
        unavailable_wait_s: How long a call waits for an unavailable node, and for nodes that its
            quotes were redirected to.
        reply_timeout_s: Limit of one reply; then the connection is closed.
        """
        self._encoder = QuoteEncoder(maxlen, window)
        self._clock = clock
        self._draw = draw
        self._timeout_s = timeout_s
        self._unavailable_wait_s = unavailable_wait_s
        self._reply_timeout_ms = reply_timeout_s * 1000
        self._credentials = client.credentials
        self._slot_map = SlotMap(client, self._make_client, clock)
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
            for client in tuple(self._slot_map):
                while client.in_flight:
                    await client.wait_for_change()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def counters(self) -> PublisherCounters:
        return self._counters

    @property
    def routing_version(self) -> int:
        return self._slot_map.version

    def nodes(self) -> tuple[str, ...]:
        return tuple(client.name for client in self._slot_map.masters)

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        parts: defaultdict[NodeClient | None, list[Quote]] = defaultdict(list)
        clients, streams = self._slot_map.clients, self._encoder
        for quote in quotes:
            parts[clients[streams[quote.instrument].slot]].append(quote)
        return {client.name if client else "": part for client, part in parts.items()}

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        self._unanswered.forget(instruments)
        for instrument in instruments:
            self._encoder.pop(instrument, None)
            for client in self._slot_map:
                client.stream_errors.pop(instrument, None)

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        assert self._tasks is not None, "use the publisher as an async context manager"
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        batch = QuoteBatch(quotes)
        with anyio.move_on_after(self._timeout_s):
            await self._slot_map.wait_until_loaded()
            try:
                self._dispatch(batch)
                await self._wait_for_replies(batch)
            finally:
                self._abandon(batch)
        if batch.settled < len(quotes) and not batch.causes:
            self._record_failure(batch, self._slot_map.problem)
        self._counters.published += batch.published
        return batch.report()

    async def ping(self, node: str) -> str:
        with anyio.move_on_after(self._timeout_s):
            await self._slot_map.wait_until_loaded()
        client = next((each for each in self._slot_map.masters if each.name == node), None)
        if client is None:
            return self._slot_map.problem
        with anyio.move_on_after(self._timeout_s):
            try:
                while not client.ready:
                    await client.wait_for_change()
                probe = NodeProbe(client, self._on_client_change)
                while probe.problem is None:
                    await client.wait_for_change()
                return probe.problem
            finally:
                client.overdue = not client.ready
        return client.unavailable_reason or f"Redis {node}: no reply within {self._timeout_s:g} s"

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
        clients, streams = self._slot_map.clients, self._encoder
        elsewhere = self._streams_under_an_older_slot_map()
        parts: defaultdict[NodeClient, list[int]] = defaultdict(list)
        unassigned = held_back = False
        for position, quote in enumerate(batch.quotes):
            client = clients[streams[quote.instrument].slot]
            if client is None:
                unassigned = True
            elif elsewhere and elsewhere.get(quote.instrument, client) is not client:
                held_back = True
            else:
                parts[client].append(position)
        if unassigned:
            self._slot_map.request_refresh()
            self._record_failure(batch, self._slot_map.problem)
        if held_back:
            self._record_failure(batch, _HELD_BACK)
        for client, positions in parts.items():
            node_batch = NodeBatch(batch, positions, self._slot_map.version)
            if client.late_acknowledged:
                batch.acknowledge_all(node_batch.without(client.late_acknowledged))
                client.late_acknowledged = set()
            client.queue.append(node_batch)
            self._send_next(client)

    def _streams_under_an_older_slot_map(self) -> dict[InstrumentId, NodeClient]:
        """Streams with a quote at a node that the slot map may not name any more."""
        version = self._slot_map.version
        return {
            node_batch.batch.quotes[position].instrument: client
            for client in self._slot_map
            for node_batch in client.unanswered
            if node_batch.slot_map_version != version
            for position in node_batch.positions
        }

    def _send_next(self, client: NodeClient) -> None:
        while client.queue and client.ready:
            node_batch = client.queue.popleft()
            if not node_batch.positions:
                continue
            node_batch.sent_before = self._sent_before(node_batch)
            client.in_flight = node_batch
            client.send(
                self._encoder.encode_pipeline(
                    node_batch.batch.quotes, node_batch.positions, node_batch.asking
                ),
                len(node_batch.positions) + len(node_batch.asking),
                partial(self._on_replies, client, node_batch),
            )

    def _sent_before(self, node_batch: NodeBatch) -> frozenset[int]:
        if not self._unanswered:
            return frozenset()
        quotes = node_batch.batch.quotes
        return frozenset(p for p in node_batch.positions if quotes[p] in self._unanswered)

    async def _wait_for_replies(self, batch: QuoteBatch) -> None:
        # A caller that publishes in a loop must not keep the replies from being read.
        await checkpoint()
        while (wait_s := self._remaining_wait_s(batch)) > 0:
            with anyio.move_on_after(wait_s) as waiting:
                await batch.wait_for_change()
            if waiting.cancelled_caught:
                return

    def _remaining_wait_s(self, batch: QuoteBatch) -> float:
        """How long to wait for the next reply, s: as long as needed for available nodes that were
        chosen by this call; a little longer for the others, so that quotes do not get old here.
        """
        pending = [
            not client.unavailable_reason and node_batch.slot_map_version is not None
            for client in self._slot_map
            for node_batch in client.unanswered
            if node_batch.batch is batch
        ]
        if not pending:
            return 0
        return inf if any(pending) else self._unavailable_wait_s

    def _abandon(self, batch: QuoteBatch) -> None:
        """End the call: drop its queued quotes; those in flight become uncertain."""
        batch.ended = True
        for client in self._slot_map:
            queued = [each for each in client.queue if each.batch is batch]
            for node_batch in queued:
                client.queue.remove(node_batch)
            in_flight = client.in_flight is not None and client.in_flight.batch is batch
            if client.in_flight is not None and in_flight:
                batch.mark_uncertain(client.in_flight.positions)
                self._unanswered.add(client.in_flight.quotes())
                # Redirected quotes are given up early; this says nothing about their node.
                client.overdue = client.in_flight.slot_map_version is not None
                self._slot_map.request_refresh(client.address)
            if queued or in_flight:
                self._record_failure(
                    batch, client.unavailable_reason or f"Redis {client.name}: not connected yet"
                )

    def _on_replies(
        self, client: NodeClient, node_batch: NodeBatch, replies: Replies | None
    ) -> None:
        client.in_flight, client.overdue = None, False
        if replies is not None:
            self._apply_outcome(
                client, node_batch, match_replies(node_batch, replies, client.address)
            )
        elif not node_batch.batch.ended:
            node_batch.batch.mark_uncertain(node_batch.positions)
            self._unanswered.add(node_batch.quotes())
            self._record_failure(
                node_batch.batch,
                f"Redis {client.name}: connection closed before the reply; outcome unknown",
            )
        node_batch.batch.notify_change()
        self._send_next(client)
        client.notify_change()

    def _apply_outcome(
        self, client: NodeClient, node_batch: NodeBatch, outcome: NodeBatchOutcome
    ) -> None:
        self._counters.busy_replies += outcome.busy_replies
        self._counters.moved_replies += outcome.moved_replies
        self._counters.ask_replies += outcome.ask_replies
        self._counters.already_there += outcome.already_there
        self._counters.refused += len(outcome.ids_refused)
        client.write_error = "" if outcome.acknowledged else outcome.error
        if client.stream_errors:
            for position in outcome.acknowledged:
                client.stream_errors.pop(node_batch.batch.quotes[position].instrument, None)
        client.stream_errors |= outcome.stream_errors
        if outcome.slot_map_stale:
            self._slot_map.request_refresh(client.address)
        for redirect in outcome.redirected.values():
            if redirect.moved:
                self._slot_map.move_slot(redirect.slot, redirect.target)
        batch = node_batch.batch
        if batch.ended:
            self._apply_late_outcome(client, batch, outcome)
            return
        batch.acknowledge_all(outcome.acknowledged)
        for position in outcome.ids_refused:
            batch.refuse_id(position)
        if outcome.error:
            self._record_failure(batch, f"Redis {client.name}: {outcome.error}")
        if outcome.redirected:
            self._follow_redirects(batch, outcome.redirected)

    def _apply_late_outcome(
        self, client: NodeClient, batch: QuoteBatch, outcome: NodeBatchOutcome
    ) -> None:
        """For replies after their call has ended: its quotes were returned as unpublished, so the
        caller may publish them again, or has already.
        """
        # Sent again, they must not count as written by this process.
        self._unanswered.discard(batch.quotes[position] for position in outcome.ids_refused)
        acknowledged = {batch.quotes[position] for position in outcome.acknowledged}
        for waiting in client.queue:
            waiting.batch.acknowledge_all(waiting.without(acknowledged))
            waiting.batch.notify_change()
        client.late_acknowledged |= acknowledged

    def _follow_redirects(self, batch: QuoteBatch, redirected: Mapping[int, Redirect]) -> None:
        parts: dict[NodeClient, NodeBatch] = {}
        for position, redirect in redirected.items():
            hops = batch.redirects[position] = batch.redirects.get(position, 0) + 1
            if hops > _REDIRECTS_MAX:
                self._slot_map.request_refresh()
                batch.causes.append(_REDIRECT_LOOP)
                continue
            target = self._slot_map.client_at(redirect.target)
            part = parts.setdefault(target, NodeBatch(batch, [], None))
            part.positions.append(position)
            if not redirect.moved:
                part.asking.add(position)
        for target, part in parts.items():
            target.queue.append(part)
            self._send_next(target)

    def _record_failure(self, batch: QuoteBatch, cause: str) -> None:
        self._counters.failures += 1
        batch.causes.append(cause)

    def _on_client_change(self, client: NodeClient) -> None:
        if client.unavailable_reason:
            self._slot_map.request_refresh(client.address)
        self._send_next(client)
        client.notify_change()
