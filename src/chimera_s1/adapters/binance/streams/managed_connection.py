"""A link: the place of one socket, and the sockets that hold it one after the other.

A venue cuts every socket after 24 hours, and announces when it wants one to move. So a successor is
dialled while the old socket still delivers; once it delivers too, both run side by side for a
moment, and then the old one goes: no update is missed, and update ids sort out the double ones.
A socket that ends by itself leaves a gap, and is dialled again by the domain's reconnect policy.
"""

from collections.abc import Callable
from typing import assert_never

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct

from chimera_s1.adapters.binance.streams.book_frames import BookFrames
from chimera_s1.adapters.binance.streams.market_socket import Connection, FramePut, SocketPlan
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.operations.reconnect import (
    BecameFatal,
    ReconnectPolicy,
    ReconnectState,
    connection_lost,
    data_seen,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FeedCounters,
    FeedListener,
)

OVERLAP_MS = 2_000
"""How long both sockets deliver: the successor is subscribed to everything before, so that an
update it receives late has come on the old one.
"""

SUCCESSOR_RETRY_MS = 30_000
"""Pause after a successor that did not come up, while the old socket still delivers."""

RENEWAL_SPREAD = 0.02
"""Share of the age by which renewals are spread, so that not all sockets are renewed at once."""


class _Lane:
    """One socket of a link: its frames, why it succeeds another (empty: it does not), and why it
    wants a successor itself (empty: not yet).
    """

    def __init__(self, frames: BookFrames, renewal: str) -> None:
        self.frames = frames
        self.renewal = renewal
        self.due = ""
        self.ready = False
        self.scope = anyio.CancelScope()


class _Ready(Struct, frozen=True):
    lane: _Lane


class _Due(Struct, frozen=True):
    lane: _Lane
    cause: str


class _Overlapped(Struct, frozen=True):
    lane: _Lane


class _Ended(Struct, frozen=True):
    lane: _Lane
    cause: str


_Event = _Ready | _Due | _Overlapped | _Ended


class LinkSetup(Struct, frozen=True):
    """What a link is made with, equal for all links of a feed.

    Attributes:
        policy: When to dial again.

        renew_after_ms: Age at which a socket is renewed.

        clock: Time and waiting.

        draw: Uniform in [0, 1), for jitter.

        counters: Of the feed.

        listener: Told of each change.

        connect: Makes a connection for a plan, its frames' way in, and the calls for its first data
            and for the venue's wish that it be renewed.
    """

    policy: ReconnectPolicy
    renew_after_ms: int
    clock: Clock
    draw: Callable[[], float]
    counters: FeedCounters
    listener: FeedListener
    connect: Callable[[SocketPlan, FramePut, Callable[[], None], Callable[[], None]], Connection]


class Link:
    """Args:
    plan: What its sockets are for.

    streams: What they carry.

    setup: See there.

    new_frames: Makes the frames of one socket.

    way_in: How a frame gets into such frames.
    """

    def __init__(
        self,
        plan: SocketPlan,
        streams: tuple[StreamKey, ...],
        setup: LinkSetup,
        new_frames: Callable[[], BookFrames],
        way_in: Callable[[BookFrames], FramePut],
    ) -> None:
        self.plan = plan
        self.streams = streams
        self.state = ReconnectState()
        self._setup = setup
        self._new_frames = new_frames
        self._way_in = way_in
        self._lanes: list[_Lane] = []
        self._retired: list[BookFrames] = []
        self._tell: MemoryObjectSendStream[_Event] | None = None

    @property
    def delivering(self) -> bool:
        """True while a socket is open that has delivered."""
        return any(lane.ready for lane in self._lanes)

    @property
    def heard_ms(self) -> int:
        """When a data message came last, as of the last drain, epoch ms; 0 before the first."""
        return max((lane.frames.heard_ms for lane in self._lanes), default=0)

    def tables(self) -> list[BookFrames]:
        """Frames to drain now: of every socket, and once more of those that have ended."""
        retired, self._retired = self._retired, []
        return [*retired, *(lane.frames for lane in self._lanes)]

    def remake(self, cause: str) -> None:
        """End the sockets and dial again: what they deliver, if anything, cannot be trusted."""
        for lane in self._lanes:
            self._send(_Ended(lane, cause))

    def renew(self, cause: str) -> None:
        """Dial a successor, and end the present socket once that delivers."""
        if self._lanes:
            self._send(_Due(self._lanes[0], cause))

    async def keep(self) -> None:
        """Hold the place until cancelled."""
        tell, events = anyio.create_memory_object_stream[_Event](1_024)
        self._tell = tell
        with tell, events:
            async with anyio.create_task_group() as tasks:
                self._launch(tasks)
                async for event in events:
                    await self._react(event, tasks)

    async def _react(self, event: _Event, tasks: TaskGroup) -> None:
        if event.lane not in self._lanes:
            return  # a late word of a socket that is gone
        match event:
            case _Ready(lane=lane):
                self._became_ready(lane, tasks)
            case _Due(lane=lane, cause=cause):
                lane.due = cause
                self._succeed(tasks)
            case _Overlapped(lane=lane):
                self._overlapped(lane)
                self._succeed(tasks)
            case _Ended(lane=lane, cause=cause):
                await self._ended(lane, cause, tasks)
            case _:
                assert_never(event)

    def _launch(self, tasks: TaskGroup, renewal: str = "") -> None:
        lane = _Lane(self._new_frames(), renewal)
        self._lanes.append(lane)
        tasks.start_soon(self._run, lane)

    def _succeed(self, tasks: TaskGroup) -> None:
        """Dial a successor of a socket that wants one and has none; while two overlap, the newer
        one's wish waits.
        """
        if len(self._lanes) == 1 and self._lanes[0].due:
            cause, self._lanes[0].due = self._lanes[0].due, ""
            self._launch(tasks, renewal=cause)

    async def _run(self, lane: _Lane) -> None:
        connection = self._setup.connect(
            self.plan,
            self._way_in(lane.frames),
            lambda: self._send(_Ready(lane)),
            lambda: self._send(_Due(lane, "the venue announced a shutdown")),
        )
        with lane.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._grow_old, lane)
                cause = await connection.run()
                tasks.cancel_scope.cancel()
            self._send(_Ended(lane, cause))

    async def _grow_old(self, lane: _Lane) -> None:
        spread = 1 - RENEWAL_SPREAD * self._setup.draw()
        await self._setup.clock.sleep_ms(self._setup.renew_after_ms * spread)
        self._send(_Due(lane, "it is near the venue's age limit"))

    def _became_ready(self, lane: _Lane, tasks: TaskGroup) -> None:
        if not self.delivering:
            recovered = self.state.fatal
            self._setup.listener(
                ConnectionOpened(self.plan.name, self.plan.venue, self.streams, recovered=recovered)
            )
        self.state = data_seen()
        lane.ready = True
        if lane.renewal:
            tasks.start_soon(self._send_later, OVERLAP_MS, _Overlapped(lane))

    def _overlapped(self, lane: _Lane) -> None:
        for old in [each for each in self._lanes if each is not lane]:
            self._close(old)
        self._setup.listener(ConnectionRenewed(self.plan.name, self.plan.venue, lane.renewal))

    async def _ended(self, lane: _Lane, cause: str, tasks: TaskGroup) -> None:
        was_delivering = self.delivering
        self._close(lane)
        if self.delivering:
            if lane.renewal:
                # The successor came to nothing; the old one delivers, so there is time.
                again = _Due(self._lanes[0], lane.renewal)
                tasks.start_soon(self._send_later, SUCCESSOR_RETRY_MS, again)
            return
        if was_delivering:
            self._setup.counters.reconnects += 1
            for late in self._lanes:
                late.renewal = ""  # there is a gap now: it succeeds nobody
        if was_delivering or not self._lanes:
            wait_ms = self._lost(cause, dialling=bool(self._lanes))
            if not self._lanes:
                await self._setup.clock.sleep_ms(wait_ms)
                self._launch(tasks)

    async def _send_later(self, wait_ms: float, event: _Event) -> None:
        await self._setup.clock.sleep_ms(wait_ms)
        self._send(event)

    def _close(self, lane: _Lane) -> None:
        if lane in self._lanes:
            self._lanes.remove(lane)
            self._retired.append(lane.frames)
            lane.scope.cancel()

    def _lost(self, cause: str, *, dialling: bool) -> float:
        decision = connection_lost(self.state, self._setup.policy, self._setup.draw())
        self.state = decision.state
        name, venue, count = self.plan.name, self.plan.venue, decision.state.retry_count
        if isinstance(decision, BecameFatal):
            self._setup.listener(ConnectionFatal(name, venue, self.streams, cause, count))
        else:
            # A successor may be on its way already.
            wait_ms = 0.0 if dialling else decision.wait_ms
            lost = ConnectionLost(name, venue, self.streams, cause, count, wait_ms)
            self._setup.listener(lost)
        return decision.wait_ms

    def _send(self, event: _Event) -> None:
        if self._tell is not None:
            self._tell.send_nowait(event)
