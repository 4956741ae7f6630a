"""Publish quotes to Redis at the end of each conflation window.

Sockets never wait for Redis, and no node of Redis waits for another: each has its own lane. While
a node is slower than the window, its windows are merged: the newest quote of each stream waits.
While a node is unavailable, the newest quote of each of its streams stays pending and is retried
with each window until it is too old.

While the kill switch is on, the newest quote of each stream waits in its lane (`PublicationGate`).
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from chimera_s1.app.capabilities.market.node_lane import NodeLane
from chimera_s1.app.capabilities.market.pending_quotes import PendingQuotes, PublishingCounters
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.operations.publication_gate import AlwaysOpen, PublicationGate
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.health import StreamStoreReport
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.quote_publisher import PublishReport, QuotePublisher

PING_AFTER_MS = 1_000

_NO_WRITE_YET = "no write yet"


class QuoteAdmission(Protocol):
    """Which quotes may be published, and with which ids; see `AdmitQuotes`."""

    @property
    def changes(self) -> ChangeSignal: ...

    @property
    def publishing(self) -> bool: ...

    def admit(self, quotes: Sequence[Quote]) -> Sequence[Quote]: ...

    def keep(self, quotes: Sequence[Quote]) -> None: ...

    async def resolve(self, refused: Sequence[Quote]) -> Sequence[Quote]: ...


class PublishQuotes:
    """Publishes the quotes of all feeds.

    Args:
        board: Gets every quote that is passed to *publisher*.
        window: 0 publishes every update at once.
        admission: Decides which quotes are published, and with which ids.
        gate: Decides when they may be written.
        observe_latency: Called with the ms from the end of a window (window 0: from the receipt of
            its oldest quote) to the acknowledgement of its batch.
        acknowledged_watchers: Called with the quotes of a batch that were acknowledged just now.
        watchers: Called with the quotes of each drain.
    """

    def __init__(
        self,
        feeds: Sequence[MarketFeed],
        publisher: QuotePublisher,
        board: QuoteBoard,
        *,
        clock: Clock,
        window: WindowMs,
        admission: QuoteAdmission,
        observe_latency: Callable[[float], None],
        gate: PublicationGate | None = None,
        acknowledged_watchers: Sequence[Callable[[Sequence[Quote]], None]] = (),
        watchers: Sequence[Callable[[Sequence[Quote]], None]] = (),
    ) -> None:
        self._feeds = tuple(feeds)
        self._publisher = publisher
        self._board = board
        self._clock = clock
        self._window = window
        self._admission = admission
        self._gate = gate or PublicationGate(AlwaysOpen(), clock)
        self._observe_latency = observe_latency
        self._acknowledged_watchers = tuple(acknowledged_watchers)
        self._watchers = tuple(watchers)
        self._lanes: dict[str, NodeLane] = {}
        self._lane_freed = anyio.Event()
        self._routing_version = publisher.routing_version
        self._merging = False
        self.counters = PublishingCounters()
        self._pending = PendingQuotes(board, clock, self.counters)

    async def run(self) -> None:
        """Publish until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_nodes, tasks)
            tasks.start_soon(self._publish_admitted, tasks)
            tasks.start_soon(self._gate.follow, partial(self._write_waiting, tasks))
            if self._window == 0:
                for feed in self._feeds:
                    tasks.start_soon(self._publish_updates, feed, tasks)
            else:
                tasks.start_soon(self._publish_windows, tasks)

    async def flush(self) -> None:
        """Publish the quotes that the feeds hold now, and those that wait for a node; nothing while
        the kill switch stops publication.
        """
        self._drain(self._feeds, None)
        async with anyio.create_task_group() as tasks:
            for lane in self._lanes_to_write():
                tasks.start_soon(self._flush_lane, lane, tasks)

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        """*instruments* are not served any more: what waits of them is not written, also where the
        kill switch or a node holds it for hours.
        """
        for lane in self._lanes.values():
            lane.forget(instruments)
        self._pending.forget(instruments)
        self._publisher.forget(instruments)

    def report(self) -> StreamStoreReport:
        lanes = self._lanes.values()
        problems = [lane.problem for lane in lanes if lane.problem]
        held = [quote for lane in lanes if lane.problem for quote in lane.waiting]
        reachable = any(lane.accepts for lane in lanes)
        return StreamStoreReport(
            reachable=reachable,
            pending=self._pending.count_with(held),
            merging_windows=self._merging,
            cause="; ".join(problems) or ("" if reachable else _NO_WRITE_YET),
            failing_nodes=len(problems),
            nodes=len(lanes),
        )

    async def _publish_windows(self, tasks: TaskGroup) -> None:
        while True:
            now_ms = self._clock.now_ms()
            left_ms: float = window_end(now_ms, self._window) - now_ms
            # Monotonic from here on: a step of the wall clock must not make a window late.
            closed_ms = self._clock.monotonic_ms() + left_ms
            while left_ms > 0:
                # uvloop rounds to whole ms and may wake up early; the window would close twice.
                await self._clock.sleep_ms(left_ms)
                left_ms = closed_ms - self._clock.monotonic_ms()
            self.counters.windows += 1
            merged = self._close_window(closed_ms, tasks)
            merged += int((self._clock.monotonic_ms() - closed_ms) // self._window)
            self._merging = merged > 0
            self.counters.windows_merged += merged

    def _close_window(self, closed_ms: float, tasks: TaskGroup) -> int:
        """Publish a window; 1 if it is merged with the next one, at least for one node, else 0."""
        if self._every_lane_writes():
            # The feeds keep bytes and overwrite them: cheaper than quotes that wait here.
            return 1
        writing = [lane for lane in self._lanes.values() if lane.writing]
        self._drain(self._feeds, closed_ms)
        self._start_writes(tasks)
        return int(any(lane.waiting for lane in writing))

    async def _publish_updates(self, feed: MarketFeed, tasks: TaskGroup) -> None:
        while True:
            await feed.wait_for_update()
            while self._every_lane_writes():
                await self._lane_freed.wait()
            if self._drain([feed], None) and self._gate.is_open:
                self._start_writes(tasks)
            else:
                # No write begins: let the socket be read before the next drain.
                await anyio.lowlevel.checkpoint()

    async def _publish_admitted(self, tasks: TaskGroup) -> None:
        """Publish what the admission has kept, as soon as it may be published."""
        version = 0
        while True:
            await self._admission.changes.next_after(version)
            version = self._admission.changes.version
            if self._drain((), None):
                self._start_writes(tasks)

    def _drain(self, feeds: Sequence[MarketFeed], closed_ms: float | None) -> bool:
        """Move the quotes of *feeds* to the lanes; False if there are none.

        *closed_ms* is the end of their window, monotonic; None: every quote counts from its
        receipt.
        """
        unfinished = closed_ms is None
        quotes = [quote for feed in feeds for quote in feed.drain(unfinished=unfinished)]
        for watch in self._watchers:
            watch(quotes)
        admitted = self._admission.admit(quotes)
        # A standby shows what it receives.
        self._board.post(admitted if self._admission.publishing else quotes)
        quotes = list(admitted)
        self._follow_moves()
        self._route(quotes, closed_ms)
        return bool(quotes)

    def _follow_moves(self) -> bool:
        """If streams may have moved, let their waiting quotes wait in the new lanes: in two lanes,
        quotes of one stream would overtake each other. False if none moved.
        """
        if self._routing_version == self._publisher.routing_version:
            return False
        self._routing_version = self._publisher.routing_version
        lanes = [(lane.since_ms, lane.take()) for lane in self._lanes.values() if lane.waiting]
        for since_ms, quotes in lanes:
            self._route(quotes, since_ms)
        return True

    def _route(self, quotes: Sequence[Quote], closed_ms: float | None) -> None:
        """Let *quotes* wait in the lanes of their nodes."""
        for node, part in self._publisher.by_node(quotes).items():
            since_ms = self._receipt_ms(part) if closed_ms is None else closed_ms
            is_open = self._gate.is_open
            newest_only = self._window != 0 or not is_open
            replaced = self._lane(node).add(part, since_ms, newest_only=newest_only)
            if is_open:
                self.counters.superseded += replaced
            else:
                self.counters.withheld += replaced

    def _receipt_ms(self, quotes: Sequence[Quote]) -> float:
        """Receive time of the oldest of *quotes*, monotonic ms."""
        now_ms = self._clock.now_ms()
        age_ms = now_ms - min(quote.received_ms for quote in quotes)
        return self._clock.monotonic_ms() - max(0, age_ms)

    def _start_writes(self, tasks: TaskGroup) -> None:
        """Start a write in each free lane that has quotes, if the gate is open."""
        if not self._gate.is_open:
            return
        for lane in self._lanes_to_write():
            if not lane.busy:
                self._start(lane, tasks)

    def _write_waiting(self, tasks: TaskGroup) -> None:
        """The gate lets through what waits; the latency of its writes counts from now."""
        for lane in self._lanes_to_write():
            if not lane.busy:
                lane.since_ms = self._clock.monotonic_ms()
                self._start(lane, tasks)

    def _lanes_to_write(self) -> list[NodeLane]:
        """Those with waiting or pending quotes."""
        retried = self._publisher.by_node(self._pending.to_retry()) if self._pending else {}
        for node in retried:
            self._lane(node)
        return [lane for lane in self._lanes.values() if lane.waiting or lane.node in retried]

    def _lane(self, node: str) -> NodeLane:
        lane = self._lanes.get(node)
        if lane is None:
            lane = self._lanes[node] = NodeLane(node)
        return lane

    def _every_lane_writes(self) -> bool:
        nodes = self._publisher.nodes() or self._lanes
        lanes = [self._lanes.get(node) for node in nodes]
        return bool(lanes) and all(lane is not None and lane.writing for lane in lanes)

    def _start(self, lane: NodeLane, tasks: TaskGroup, *, ping: bool = False) -> None:
        lane.busy, lane.writing = True, not ping
        self._lane_freed = anyio.Event() if self._lane_freed.is_set() else self._lane_freed
        tasks.start_soon(self._use, lane, tasks, ping)

    async def _flush_lane(self, lane: NodeLane, tasks: TaskGroup) -> None:
        while lane.busy:
            await self._lane_freed.wait()
        lane.busy = lane.writing = True
        await self._use(lane, tasks, ping=False)

    async def _use(self, lane: NodeLane, tasks: TaskGroup, ping: bool) -> None:
        """Ping the node if *ping*, then write what waits for it."""
        try:
            if ping:
                problem = await self._publisher.ping(lane.node)
                if not problem:
                    lane.refused.clear()
                lane.record(problem, accepts=not problem, now_ms=self._clock.monotonic_ms())
                if not self._gate.is_open:
                    return
                lane.writing = True
            while quotes := self._next_batch(lane, tasks):
                await self._write(lane, quotes)
                if self._window or not lane.waiting or not self._gate.is_open:
                    # With windows, what came meanwhile waits for the end of the next one.
                    return
        finally:
            lane.busy = lane.writing = False
            self._lane_freed.set()

    async def _write(self, lane: NodeLane, quotes: Sequence[Quote]) -> None:
        since_ms = lane.since_ms
        if not self._admission.publishing:
            self._pending.settle(quotes, ())
            self._admission.keep(quotes)
            return
        if self._gate.is_stopped:
            self._pending.settle(quotes, ())
            lane.waiting = [*quotes, *lane.waiting]
            return
        # The port limits the time. Cancelled halfway, it would be unknown what was written.
        with anyio.CancelScope(shield=True):
            report = await self._publisher.publish(quotes)
            if report.refused:
                report = await self._publish_again(report)
        now_ms = self._clock.monotonic_ms()
        if report.published:
            self._observe_latency(now_ms - since_ms)
            acknowledged = _without(quotes, (*report.unpublished, *report.refused))
            for watch in self._acknowledged_watchers:
                watch(acknowledged)
        if self._pending or report.unpublished:
            self._pending.settle(quotes, report.unpublished)
        lane.settle(quotes, report.unpublished, accepted=report.published)
        lane.record(report.cause, accepts=report.published > 0 or not report.cause, now_ms=now_ms)

    async def _publish_again(self, report: PublishReport) -> PublishReport:
        """Publish what was refused because of its id, where it may still be published."""
        again = await self._admission.resolve(report.refused)
        if not again or self._gate.is_stopped:
            return report
        second = await self._publisher.publish(again)
        return PublishReport(
            published=report.published + second.published,
            unpublished=(*report.unpublished, *second.unpublished),
            cause="; ".join(filter(None, (report.cause, second.cause))),
            refused=(*report.refused, *second.refused),
        )

    def _next_batch(self, lane: NodeLane, tasks: TaskGroup) -> list[Quote]:
        """The fresh pending quotes of *lane*, then those that wait."""
        if self._follow_moves():
            self._start_writes(tasks)
        quotes = lane.take()
        if not quotes:
            lane.since_ms = self._clock.monotonic_ms()
        if not self._pending:
            return quotes
        self._pending.drop_expired()
        pending = self._publisher.by_node(self._pending.to_retry())
        return [*pending.get(lane.node, ()), *quotes]

    async def _watch_nodes(self, tasks: TaskGroup) -> None:
        """Ping each node whose writes have not shown that it works."""
        while True:
            await self._clock.sleep_ms(PING_AFTER_MS)
            for node in self._publisher.nodes():
                self._lane(node)
            retried = {lane.node for lane in self._lanes_to_write()}
            self._forget_lanes(retried)
            for lane in self._lanes.values():
                if lane.busy:
                    continue
                if lane.node in retried and self._gate.is_open:
                    if self._window == 0:
                        # With window 0 only an update publishes, and the market may be calm.
                        self._start(lane, tasks)
                elif self._is_silent(lane):
                    self._start(lane, tasks, ping=True)

    def _forget_lanes(self, needed: Collection[str]) -> None:
        """Of nodes that serve no stream any more."""
        kept = {*self._publisher.nodes(), *needed}
        for lane in tuple(self._lanes.values()):
            if lane.node not in kept and not lane.busy:
                del self._lanes[lane.node]

    def _is_silent(self, lane: NodeLane) -> bool:
        accepted_ms = lane.accepted_ms
        now_ms = self._clock.monotonic_ms()
        return bool(lane.problem) or accepted_ms is None or now_ms - accepted_ms >= PING_AFTER_MS


def _without(batch: Sequence[Quote], unpublished: Sequence[Quote]) -> Sequence[Quote]:
    if not unpublished:
        return batch
    left_out = set(map(id, unpublished))
    return [quote for quote in batch if id(quote) not in left_out]
