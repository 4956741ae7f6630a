"""Quotes onto their streams, each node by a pipeline of its own: the hot path.

What one node cannot take now is handed back at once; no other node's streams wait for it.
"""

from collections.abc import Callable, Mapping, Sequence
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
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport

TIMEOUT_S = 2.0
STRAGGLER_WAIT_S = 0.25
REPLY_TIMEOUT_S = 2.0

_REDIRECTS_MAX = 5
_CLOSE_TIMEOUT_S = 1.0


class NodeQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher`; an async context manager that owns
    the tasks which keep it connected.

    Order within a stream: a node has one request in flight; a connection that ended with an
    unanswered one is ended on the server's side too before the next is used; and a stream with a
    quote in flight anywhere gets the next one over the same connection, or not yet.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        maxlen: int,
        clock: Clock,
        draw: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
        straggler_wait_s: float = STRAGGLER_WAIT_S,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        """Args:
        client: Source of the slot map, and of user, password and TLS; used by nobody else.

        maxlen: Entries a stream keeps, about (`S1_STREAM_MAXLEN`).

        clock: Time and waiting.

        draw: Uniform in [0, 1), for the jitter between attempts to connect.

        timeout_s: The longest a call may take, s.

        straggler_wait_s: How much longer than the others a node may take before a call goes on
            without it, s. Its answer still counts when it comes.

        reply_timeout_s: How long an answer may take before the connection is ended, s.
        """
        self._encoder = QuoteEncoder(maxlen)
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
        self._counters = PublisherCounters()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._slot_map.run)
        self._tasks.start_soon(self._slot_map.abort_overdue, self._reply_timeout_ms)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._tasks is not None, "leave what was entered"
        # What is in flight would otherwise race with whoever writes to these streams next.
        with anyio.move_on_after(_CLOSE_TIMEOUT_S):
            while any(lane.in_flight for lane in self._slot_map):
                await self._wait_for_change()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def counters(self) -> PublisherCounters:
        """Live counters."""
        return self._counters

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        """Append each quote to its stream, in order within a stream; see the port."""
        assert self._tasks is not None, "enter the publisher before it is used"
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
        if batch.published < len(quotes) and not batch.causes:
            self._record_failure(
                batch, self._slot_map.refresh_error or "Redis: an earlier batch is being written"
            )
        self._counters.published += batch.published
        return batch.report()

    async def ping(self) -> str:
        """Empty where every master answers and says the cluster takes writes; else what
        is wrong.
        """
        with anyio.move_on_after(self._timeout_s):
            async with self._publish_lock:
                try:
                    return await self._probe_nodes()
                finally:
                    for lane in self._slot_map:
                        lane.overdue = not lane.ready
        complaints = (lane.unavailable_reason for lane in self._slot_map)
        return next(
            filter(None, [*complaints, self._slot_map.refresh_error]), "Redis does not answer"
        )

    async def _probe_nodes(self) -> str:
        while not (self._slot_map.loaded and all(lane.ready for lane in self._slot_map)):
            await self._wait_for_change()
        probe = NodeProbe(self._slot_map, self._on_client_change)
        while not probe.done:
            await self._wait_for_change()
        return probe.problem

    def _make_client(self, address: RedisAddress) -> NodeClient:
        assert self._tasks is not None, "enter the publisher before it is used"
        lane = NodeClient(
            address,
            self._credentials,
            clock=self._clock,
            draw=self._draw,
            on_change=self._on_client_change,
        )
        self._tasks.start_soon(lane.run)
        return lane

    def _dispatch(self, batch: QuoteBatch) -> None:
        """Give each lane its share of *batch*, and send it where the lane is ready."""
        self._batch, self._redirect_counts = batch, {}
        lanes, streams = self._slot_map.clients, self._encoder
        in_flight = self._streams_in_flight()
        late_acknowledged, self._late_acknowledged = self._late_acknowledged, set()
        unassigned = held_back = False
        for position, quote in enumerate(batch.quotes):
            lane = lanes[streams[quote.instrument].slot]
            if lane is None:
                unassigned = True
            elif late_acknowledged and quote in late_acknowledged:
                batch.acknowledge(position)
            elif in_flight and in_flight.get(quote.instrument, lane) is not lane:
                held_back = True
            else:
                lane.queue.append(position)
        if unassigned:
            self._slot_map.request_refresh()
            self._record_failure(
                batch, self._slot_map.refresh_error or "Redis: nobody serves a slot"
            )
        if held_back:
            self._record_failure(
                batch, "an earlier quote of a stream is still on its way to another node"
            )
        for lane in self._slot_map:
            self._send_queued(lane)

    def _streams_in_flight(self) -> dict[InstrumentId, NodeClient]:
        return {
            lane.in_flight.batch.quotes[position].instrument: lane
            for lane in self._slot_map
            if lane.in_flight is not None
            for position in lane.in_flight.positions
        }

    def _send_queued(self, client: NodeClient) -> None:
        """Send what waits for *client*, where it is ready."""
        if not (client.queue and client.ready):
            return
        share = NodeBatch(self._batch, client.queue, frozenset(client.asking))
        client.queue, client.asking = [], set()
        client.in_flight = share
        client.send(
            self._encoder.encode_pipeline(share.batch.quotes, share.positions, share.asking),
            len(share.positions) + len(share.asking),
            partial(self._on_replies, client, share),
        )

    async def _wait_for_replies(self, batch: QuoteBatch) -> None:
        # A caller that offers again at once must not keep the answers from being read.
        await checkpoint()
        while (wait_s := self._remaining_wait_s(batch)) > 0:
            with anyio.move_on_after(wait_s) as waiting:
                await self._wait_for_change()
            if waiting.cancelled_caught:
                return

    def _remaining_wait_s(self, batch: QuoteBatch) -> float:
        """How long the next answer is worth waiting for, s.

        Where no node is in order there is nothing to hurry for. As soon as one is, the others have
        a little while longer, and those already known to be in trouble have none.
        """
        pending = [lane for lane in self._slot_map if lane.has_pending(batch)]
        if not pending:
            return 0
        if any(lane.idle for lane in self._slot_map):
            return 0 if all(lane.unavailable_reason for lane in pending) else self._straggler_wait_s
        # What waits for a connection grows old; the caller has newer by then.
        return self._straggler_wait_s if all(lane.connection_error for lane in pending) else inf

    def _abandon(self, batch: QuoteBatch) -> None:
        """End the call: nothing of it is sent any more, what is in flight is left to its lane."""
        for lane in self._slot_map:
            if not lane.has_pending(batch):
                continue
            lane.queue, lane.asking = [], set()
            if lane.in_flight is not None and lane.in_flight.batch is batch:
                batch.mark_uncertain(lane.in_flight.positions)
                lane.overdue = True
                self._slot_map.request_refresh(lane.address)
            self._record_failure(
                batch, lane.unavailable_reason or f"Redis {lane.address} is not connected yet"
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
            self._record_failure(
                node_batch.batch, f"Redis {client.address} ended the connection without an answer"
            )
        self._send_queued(client)
        self._notify_change()

    def _apply_outcome(
        self, client: NodeClient, node_batch: NodeBatch, outcome: NodeBatchOutcome
    ) -> None:
        self._counters.busy_replies += outcome.busy_replies
        self._counters.moved_replies += outcome.moved_replies
        self._counters.ask_replies += outcome.ask_replies
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
        if outcome.error:
            self._record_failure(node_batch.batch, f"Redis {client.address}: {outcome.error}")
        if outcome.redirected:
            self._follow_redirects(outcome.redirected)

    def _apply_late_outcome(
        self, client: NodeClient, node_batch: NodeBatch, outcome: NodeBatchOutcome
    ) -> None:
        """An answer that came after its call: the caller holds these quotes for unpublished, and
        may offer them again, or has done so.
        """
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
                self._batch.causes.append("Redis redirects in a circle")
                continue
            target = self._slot_map.client_at(redirect.target)
            target.queue.append(position)
            if not redirect.moved:
                target.asking.add(position)
            targets.add(target)
        for target in targets:
            self._send_queued(target)

    async def _wait_for_change(self) -> None:
        """Return after the next answer, and the next connection made or lost."""
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
