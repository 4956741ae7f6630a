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
from chimera_s1.adapters.redis.node_batch_outcome import Outcome, sort_replies
from chimera_s1.adapters.redis.node_client import NodeLane, Share
from chimera_s1.adapters.redis.node_connection import Replies
from chimera_s1.adapters.redis.node_probe import NodeProbe
from chimera_s1.adapters.redis.quote_batch import Batch
from chimera_s1.adapters.redis.quote_encoder import QuoteEncoder, Redirect
from chimera_s1.adapters.redis.slot_map import SlotMap
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport

PATIENCE_S = 2.0
LAG_S = 0.25
GIVE_UP_S = 2.0

_HOPS_MAX = 5
_DRAIN_S = 1.0


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
        patience_s: float = PATIENCE_S,
        lag_s: float = LAG_S,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        """Args:
        client: Source of the slot map, and of user, password and TLS; used by nobody else.

        maxlen: Entries a stream keeps, about (`S1_STREAM_MAXLEN`).

        clock: Time and waiting.

        draw: Uniform in [0, 1), for the jitter between attempts to connect.

        patience_s: The longest a call may take, s.

        lag_s: How much longer than the others a node may take before a call goes on without
            it, s. Its answer still counts when it comes.

        give_up_s: How long an answer may take before the connection is ended, s.
        """
        self._encoder = QuoteEncoder(maxlen)
        self._clock = clock
        self._draw = draw
        self._patience_s = patience_s
        self._lag_s = lag_s
        self._give_up_ms = give_up_s * 1000
        self._access = client.access
        self._slots = SlotMap(client, self._make_lane, clock, self._wake)
        self._turn = anyio.Lock(fast_acquire=True)
        self._changed = anyio.Event()
        self._batch = Batch(())
        self._hops: dict[int, int] = {}
        self._late_acknowledged: set[Quote] = set()
        self._counters = PublisherCounters()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._slots.run)
        self._tasks.start_soon(self._slots.give_up_late, self._give_up_ms)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._tasks is not None, "leave what was entered"
        # What is in flight would otherwise race with whoever writes to these streams next.
        with anyio.move_on_after(_DRAIN_S):
            while any(lane.share for lane in self._slots):
                await self._change()
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
        batch = Batch(quotes)
        with anyio.move_on_after(self._patience_s):
            async with self._turn:
                while not self._slots.known:
                    await self._change()
                try:
                    self._begin(batch)
                    await self._until_answered(batch)
                finally:
                    self._withdraw(batch)
        if batch.published < len(quotes) and not batch.causes:
            self._fail(batch, self._slots.defect or "Redis: an earlier batch is being written")
        self._counters.published += batch.published
        return batch.report()

    async def ping(self) -> str:
        """Empty where every master answers and says the cluster takes writes; else what
        is wrong.
        """
        with anyio.move_on_after(self._patience_s):
            async with self._turn:
                try:
                    return await self._probe()
                finally:
                    for lane in self._slots:
                        lane.late = not lane.ready
        complaints = (lane.complaint for lane in self._slots)
        return next(filter(None, [*complaints, self._slots.defect]), "Redis does not answer")

    async def _probe(self) -> str:
        while not (self._slots.known and all(lane.ready for lane in self._slots)):
            await self._change()
        probe = NodeProbe(self._slots, self._on_lane_change)
        while not probe.done:
            await self._change()
        return probe.defect

    def _make_lane(self, address: RedisAddress) -> NodeLane:
        assert self._tasks is not None, "enter the publisher before it is used"
        lane = NodeLane(
            address,
            self._access,
            clock=self._clock,
            draw=self._draw,
            on_change=self._on_lane_change,
        )
        self._tasks.start_soon(lane.run)
        return lane

    def _begin(self, batch: Batch) -> None:
        """Give each lane its share of *batch*, and send it where the lane is ready."""
        self._batch, self._hops = batch, {}
        lanes, streams = self._slots.lanes, self._encoder
        held = self._streams_in_flight()
        known, self._late_acknowledged = self._late_acknowledged, set()
        nowhere = withheld = False
        for position, quote in enumerate(batch.quotes):
            lane = lanes[streams[quote.instrument].slot]
            if lane is None:
                nowhere = True
            elif known and quote in known:
                batch.acknowledge(position)
            elif held and held.get(quote.instrument, lane) is not lane:
                withheld = True
            else:
                lane.queue.append(position)
        if nowhere:
            self._slots.doubt()
            self._fail(batch, self._slots.defect or "Redis: nobody serves a slot")
        if withheld:
            self._fail(batch, "an earlier quote of a stream is still on its way to another node")
        for lane in self._slots:
            self._pump(lane)

    def _streams_in_flight(self) -> dict[InstrumentId, NodeLane]:
        return {
            lane.share.batch.quotes[position].instrument: lane
            for lane in self._slots
            if lane.share is not None
            for position in lane.share.positions
        }

    def _pump(self, lane: NodeLane) -> None:
        """Send what waits for *lane*, where it is ready."""
        if not (lane.queue and lane.ready):
            return
        share = Share(self._batch, lane.queue, frozenset(lane.asking))
        lane.queue, lane.asking = [], set()
        lane.share = share
        lane.send(
            self._encoder.pipeline(share.batch.quotes, share.positions, share.asking),
            len(share.positions) + len(share.asking),
            partial(self._settle, lane, share),
        )

    async def _until_answered(self, batch: Batch) -> None:
        # A caller that offers again at once must not keep the answers from being read.
        await checkpoint()
        while (wait_s := self._wait_s(batch)) > 0:
            with anyio.move_on_after(wait_s) as waiting:
                await self._change()
            if waiting.cancelled_caught:
                return

    def _wait_s(self, batch: Batch) -> float:
        """How long the next answer is worth waiting for, s.

        Where no node is in order there is nothing to hurry for. As soon as one is, the others have
        a little while longer, and those already known to be in trouble have none.
        """
        owing = [lane for lane in self._slots if lane.owes(batch)]
        if not owing:
            return 0
        if any(lane.idle for lane in self._slots):
            return 0 if all(lane.complaint for lane in owing) else self._lag_s
        # What waits for a connection grows old; the caller has newer by then.
        return self._lag_s if all(lane.defect for lane in owing) else inf

    def _withdraw(self, batch: Batch) -> None:
        """End the call: nothing of it is sent any more, what is in flight is left to its lane."""
        for lane in self._slots:
            if not lane.owes(batch):
                continue
            lane.queue, lane.asking = [], set()
            if lane.share is not None and lane.share.batch is batch:
                batch.doubt(lane.share.positions)
                lane.late = True
                self._slots.doubt(lane.address)
            self._fail(batch, lane.complaint or f"Redis {lane.address} is not connected yet")
        self._batch = Batch(())

    def _settle(self, lane: NodeLane, share: Share, replies: Replies | None) -> None:
        lane.share, lane.late = None, False
        if replies is not None:
            self._take(lane, share, sort_replies(share, replies, lane.address))
        elif share.batch is self._batch:
            share.batch.doubt(share.positions)
            self._fail(share.batch, f"Redis {lane.address} ended the connection without an answer")
        self._pump(lane)
        self._wake()

    def _take(self, lane: NodeLane, share: Share, outcome: Outcome) -> None:
        self._counters.tried_again += outcome.busy
        self._counters.moved += outcome.moved
        self._counters.asked += outcome.asked
        lane.refusal = "" if outcome.acknowledged else outcome.refusal
        if outcome.map_doubtful:
            self._slots.doubt(lane.address)
        for redirect in outcome.redirected.values():
            if redirect.moved:
                self._slots.lanes[redirect.slot] = self._slots.lane_at(redirect.target)
        if share.batch is not self._batch:
            self._remember(lane, share, outcome)
            return
        share.batch.acknowledge_all(outcome.acknowledged)
        if outcome.refusal:
            self._fail(share.batch, f"Redis {lane.address}: {outcome.refusal}")
        if outcome.redirected:
            self._follow(outcome.redirected)

    def _remember(self, lane: NodeLane, share: Share, outcome: Outcome) -> None:
        """An answer that came after its call: the caller holds these quotes for unpublished, and
        may offer them again, or has done so.
        """
        taken = {share.batch.quotes[position] for position in outcome.acknowledged}
        again = [p for p in lane.queue if self._batch.quotes[p] in taken]
        self._batch.acknowledge_all(again)
        lane.queue = [p for p in lane.queue if p not in set(again)]
        self._late_acknowledged |= taken

    def _follow(self, redirected: Mapping[int, Redirect]) -> None:
        targets: set[NodeLane] = set()
        for position, redirect in redirected.items():
            hops = self._hops[position] = self._hops.get(position, 0) + 1
            if hops > _HOPS_MAX:
                self._slots.doubt()
                self._batch.causes.append("Redis redirects in a circle")
                continue
            target = self._slots.lane_at(redirect.target)
            target.queue.append(position)
            if not redirect.moved:
                target.asking.add(position)
            targets.add(target)
        for target in targets:
            self._pump(target)

    async def _change(self) -> None:
        """Return after the next answer, and the next connection made or lost."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()

    def _fail(self, batch: Batch, cause: str) -> None:
        self._counters.failures += 1
        batch.causes.append(cause)

    def _on_lane_change(self, lane: NodeLane) -> None:
        if lane.complaint:
            self._slots.doubt(lane.address)
        self._pump(lane)
        self._wake()
