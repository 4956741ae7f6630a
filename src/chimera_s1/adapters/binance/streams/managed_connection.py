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
from chimera_s1.adapters.binance.streams.market_socket import FrameSink, MarketSocket, SocketPlan
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.operations.reconnect import (
    ReconnectPolicy,
    ReconnectState,
    RetriesExhausted,
    after_data,
    after_failure,
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


class _Slot:
    """One socket of a link: its frames, why it succeeds another (empty: it does not), and why it
    wants a successor itself (empty: not yet).
    """

    def __init__(self, frames: BookFrames, renewal: str) -> None:
        self.frames = frames
        self.succession_cause = renewal
        self.renewal_cause = ""
        self.ready = False
        self.scope = anyio.CancelScope()


class _SlotReady(Struct, frozen=True):
    slot: _Slot


class _RenewalDue(Struct, frozen=True):
    slot: _Slot
    cause: str


class _OverlapOver(Struct, frozen=True):
    slot: _Slot


class _SlotEnded(Struct, frozen=True):
    slot: _Slot
    cause: str


_SlotEvent = _SlotReady | _RenewalDue | _OverlapOver | _SlotEnded


class ManagedConnectionSetup(Struct, frozen=True):
    """What a link is made with, equal for all links of a feed.

    Attributes:
        policy: When to dial again.

        renew_after_ms: Age at which a socket is renewed.

        clock: Time and waiting.

        draw: Uniform in [0, 1), for jitter.

        counters: Of the feed.

        listener: Told of each change.

        make_socket: Makes a connection for a plan, its frames' way in, and the calls for its first
            data and for the venue's wish that it be renewed.
    """

    policy: ReconnectPolicy
    renew_after_ms: int
    clock: Clock
    draw: Callable[[], float]
    counters: FeedCounters
    listener: FeedListener
    make_socket: Callable[
        [SocketPlan, FrameSink, Callable[[], None], Callable[[], None]], MarketSocket
    ]


class ManagedConnection:
    """Args:
    plan: What its sockets are for.

    streams: What they carry.

    setup: See there.

    new_frames: Makes the frames of one socket.

    frame_sink: How a frame gets into such frames.
    """

    def __init__(
        self,
        plan: SocketPlan,
        streams: tuple[StreamKey, ...],
        setup: ManagedConnectionSetup,
        new_frames: Callable[[], BookFrames],
        frame_sink: Callable[[BookFrames], FrameSink],
    ) -> None:
        self.plan = plan
        self.streams = streams
        self.state = ReconnectState()
        self._setup = setup
        self._new_frames = new_frames
        self._frame_sink = frame_sink
        self._slots: list[_Slot] = []
        self._retired: list[BookFrames] = []
        self._event_sender: MemoryObjectSendStream[_SlotEvent] | None = None

    @property
    def delivering(self) -> bool:
        """True while a socket is open that has delivered."""
        return any(lane.ready for lane in self._slots)

    @property
    def last_message_ms(self) -> int:
        """When a data message came last, as of the last drain, epoch ms; 0 before the first."""
        return max((lane.frames.last_message_ms for lane in self._slots), default=0)

    def frames_to_drain(self) -> list[BookFrames]:
        """Frames to drain now: of every socket, and once more of those that have ended."""
        retired, self._retired = self._retired, []
        return [*retired, *(lane.frames for lane in self._slots)]

    def reconnect(self, cause: str) -> None:
        """End the sockets and dial again: what they deliver, if anything, cannot be trusted."""
        for lane in self._slots:
            self._send(_SlotEnded(lane, cause))

    def renew(self, cause: str) -> None:
        """Dial a successor, and end the present socket once that delivers."""
        if self._slots:
            self._send(_RenewalDue(self._slots[0], cause))

    async def run(self) -> None:
        """Hold the place until cancelled."""
        tell, events = anyio.create_memory_object_stream[_SlotEvent](1_024)
        self._event_sender = tell
        with tell, events:
            async with anyio.create_task_group() as tasks:
                self._start_slot(tasks)
                async for event in events:
                    await self._handle(event, tasks)

    async def _handle(self, event: _SlotEvent, tasks: TaskGroup) -> None:
        if event.slot not in self._slots:
            return  # a late word of a socket that is gone
        match event:
            case _SlotReady(slot=lane):
                self._on_ready(lane, tasks)
            case _RenewalDue(slot=lane, cause=cause):
                lane.renewal_cause = cause
                self._start_successor(tasks)
            case _OverlapOver(slot=lane):
                self._on_overlap_over(lane)
                self._start_successor(tasks)
            case _SlotEnded(slot=lane, cause=cause):
                await self._on_ended(lane, cause, tasks)
            case _:
                assert_never(event)

    def _start_slot(self, tasks: TaskGroup, succession_cause: str = "") -> None:
        lane = _Slot(self._new_frames(), succession_cause)
        self._slots.append(lane)
        tasks.start_soon(self._run_slot, lane)

    def _start_successor(self, tasks: TaskGroup) -> None:
        """Dial a successor of a socket that wants one and has none; while two overlap, the newer
        one's wish waits.
        """
        if len(self._slots) == 1 and self._slots[0].renewal_cause:
            cause, self._slots[0].renewal_cause = self._slots[0].renewal_cause, ""
            self._start_slot(tasks, succession_cause=cause)

    async def _run_slot(self, slot: _Slot) -> None:
        connection = self._setup.make_socket(
            self.plan,
            self._frame_sink(slot.frames),
            lambda: self._send(_SlotReady(slot)),
            lambda: self._send(_RenewalDue(slot, "the venue announced a shutdown")),
        )
        with slot.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew_at_age_limit, slot)
                cause = await connection.run()
                tasks.cancel_scope.cancel()
            self._send(_SlotEnded(slot, cause))

    async def _renew_at_age_limit(self, slot: _Slot) -> None:
        spread = 1 - RENEWAL_SPREAD * self._setup.draw()
        await self._setup.clock.sleep_ms(self._setup.renew_after_ms * spread)
        self._send(_RenewalDue(slot, "it is near the venue's age limit"))

    def _on_ready(self, slot: _Slot, tasks: TaskGroup) -> None:
        if not self.delivering:
            recovered = self.state.fatal
            self._setup.listener(
                ConnectionOpened(self.plan.name, self.plan.venue, self.streams, recovered=recovered)
            )
        self.state = after_data()
        slot.ready = True
        if slot.succession_cause:
            tasks.start_soon(self._send_later, OVERLAP_MS, _OverlapOver(slot))

    def _on_overlap_over(self, slot: _Slot) -> None:
        for old in [each for each in self._slots if each is not slot]:
            self._close_slot(old)
        self._setup.listener(
            ConnectionRenewed(self.plan.name, self.plan.venue, slot.succession_cause)
        )

    async def _on_ended(self, slot: _Slot, cause: str, tasks: TaskGroup) -> None:
        was_delivering = self.delivering
        self._close_slot(slot)
        if self.delivering:
            if slot.succession_cause:
                # The successor came to nothing; the old one delivers, so there is time.
                retry = _RenewalDue(self._slots[0], slot.succession_cause)
                tasks.start_soon(self._send_later, SUCCESSOR_RETRY_MS, retry)
            return
        if was_delivering:
            self._setup.counters.reconnects += 1
            for remaining in self._slots:
                remaining.succession_cause = ""  # there is a gap now: it succeeds nobody
        if was_delivering or not self._slots:
            wait_ms = self._report_lost(cause, dialling=bool(self._slots))
            if not self._slots:
                await self._setup.clock.sleep_ms(wait_ms)
                self._start_slot(tasks)

    async def _send_later(self, wait_ms: float, event: _SlotEvent) -> None:
        await self._setup.clock.sleep_ms(wait_ms)
        self._send(event)

    def _close_slot(self, slot: _Slot) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
            self._retired.append(slot.frames)
            slot.scope.cancel()

    def _report_lost(self, cause: str, *, dialling: bool) -> float:
        decision = after_failure(self.state, self._setup.policy, self._setup.draw())
        self.state = decision.state
        name, venue, count = self.plan.name, self.plan.venue, decision.state.retry_count
        if isinstance(decision, RetriesExhausted):
            self._setup.listener(ConnectionFatal(name, venue, self.streams, cause, count))
        else:
            # A successor may be on its way already.
            wait_ms = 0.0 if dialling else decision.wait_ms
            lost = ConnectionLost(name, venue, self.streams, cause, count, wait_ms)
            self._setup.listener(lost)
        return decision.wait_ms

    def _send(self, event: _SlotEvent) -> None:
        if self._event_sender is not None:
            self._event_sender.send_nowait(event)
