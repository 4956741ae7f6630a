"""A connection that is kept alive: it reconnects after a loss and renews its socket in time.

A venue cuts every socket after 24 hours, and announces some shutdowns. So a successor is dialled
while the old socket still delivers; once it delivers too, both run side by side for a moment, and
then the old one is closed: no update is missed, and update ids drop the duplicates.
A socket that ends by itself leaves a gap; the domain's reconnect policy says when to dial again.
"""

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any, Generic, Protocol, TypeVar, assert_never

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct, structs

from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.market_socket import FrameSink, SocketPlan
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.reconnect import (
    ReconnectPolicy,
    ReconnectState,
    RetriesExhausted,
    after_failure,
    after_healthy,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FatalEnded,
    FeedCounters,
    FeedListener,
)

OVERLAP_MS = 2_000
"""How long both sockets deliver: an update that the successor gets late has come on the old one."""

SUCCESSOR_RETRY = Backoff(base_ms=30_000, max_wait_ms=900_000, jitter_ms=0)
"""Pauses after successors that failed, while the old socket still delivers."""

RENEWAL_PAUSE_MS = 60_000
"""Shortest time between two renewals: a venue that announces a shutdown on every socket, or a cure
that does not help, causes no dial storm.
"""

RENEWAL_SPREAD = 0.02
"""Fraction of the age by which renewals are spread, so that sockets do not all renew at once."""


class SocketFrames(Protocol):
    """What one socket has received."""

    @property
    def is_empty(self) -> bool: ...

    @property
    def last_message_ms(self) -> int: ...


Frames = TypeVar("Frames", bound=SocketFrames)


class ManagedSocket(Protocol):
    """One socket; `MarketSocket` describes the methods."""

    was_silent: bool

    def wait_longer(self, silent_sockets: int) -> None: ...

    def change_streams(self, add: Sequence[str], remove: Collection[str]) -> None: ...

    async def run(self) -> str: ...


class _Slot(Generic[Frames]):
    """One socket and its frames.

    Attributes:
        socket: None before it is made.
        succession_cause: Why it replaces another socket; empty where it does not.
        renewal_cause: Why it needs a successor; empty where it does not.
    """

    def __init__(self, frames: Frames, succession_cause: str) -> None:
        self.frames = frames
        self.socket: ManagedSocket | None = None
        self.succession_cause = succession_cause
        self.renewal_cause = ""
        self.ready = False
        self.scope = anyio.CancelScope()


class _SlotReady(Struct, frozen=True):
    slot: _Slot[Any]


class _RenewalDue(Struct, frozen=True):
    slot: _Slot[Any]
    cause: str


class _OverlapOver(Struct, frozen=True):
    slot: _Slot[Any]


class _SlotHealthy(Struct, frozen=True):
    slot: _Slot[Any]


class _SlotEnded(Struct, frozen=True):
    slot: _Slot[Any]
    cause: str


_SlotEvent = _SlotReady | _SlotHealthy | _RenewalDue | _OverlapOver | _SlotEnded


class ManagedConnectionSetup(Struct, frozen=True):
    """The same for all connections of a feed.

    Attributes:
        renew_after_ms: Age at which a socket is renewed.
        gate: Admits dials; asked here for how long it will hold the next one.
        draw: Uniform in [0, 1), for jitter.
        make_socket: Called with the plan, the frame sink, and the callbacks for the first data and
            for a shutdown announced by the venue.
        private: Whether its dials are those of an account's stream.
    """

    policy: ReconnectPolicy
    renew_after_ms: int
    clock: Clock
    gate: DialGate
    draw: Callable[[], float]
    counters: FeedCounters
    listener: FeedListener
    make_socket: Callable[
        [SocketPlan, FrameSink, Callable[[], None], Callable[[], None]], ManagedSocket
    ]
    private: bool = False


class ManagedConnection(Generic[Frames]):
    """Holds one socket, two while it is renewed.

    Args:
        streams: Carried by each of its sockets.
        new_frames: Makes the frames of one socket.
        frame_sink: The function that puts a message into such frames.
    """

    def __init__(
        self,
        plan: SocketPlan,
        streams: tuple[StreamKey, ...],
        setup: ManagedConnectionSetup,
        new_frames: Callable[[], Frames],
        frame_sink: Callable[[Frames], FrameSink],
    ) -> None:
        self.plan = plan
        self.streams = streams
        self.state = ReconnectState()
        self._setup = setup
        self._new_frames = new_frames
        self._frame_sink = frame_sink
        self._slots: list[_Slot[Frames]] = []
        self._retired: list[Frames] = []
        self._silent_sockets = 0
        self._failed_successors = 0
        self._renewed_ms = -inf
        self._event_sender: MemoryObjectSendStream[_SlotEvent] | None = None

    @property
    def delivering(self) -> bool:
        """True while an open socket has delivered data."""
        return any(slot.ready for slot in self._slots)

    @property
    def last_message_ms(self) -> int:
        """Receive time of the newest data message, epoch ms; 0 before the first."""
        return max((slot.frames.last_message_ms for slot in self._slots), default=0)

    def frames_to_drain(self) -> list[Frames]:
        """Frames of every open socket, and those that are left of sockets that have ended."""
        self._retired = [frames for frames in self._retired if not frames.is_empty]
        return [*self._retired, *(slot.frames for slot in self._slots)]

    def reconnect(self, cause: str) -> None:
        """End the sockets and dial again; what they deliver, if anything, is not trusted."""
        for slot in self._slots:
            self._send(_SlotEnded(slot, cause))

    def renew(self, cause: str) -> None:
        """Dial a successor, and end the current socket once it delivers."""
        if self._slots:
            self._send(_RenewalDue(self._slots[0], cause))

    def change_streams(
        self,
        streams: tuple[StreamKey, ...],
        names: tuple[str, ...],
        *,
        add: Sequence[str],
        remove: Collection[str],
    ) -> Sequence[Frames]:
        """Carry *streams*, called *names*, from now on: its sockets stay open and send what has
        changed; later ones subscribe them all.

        Returns:
            The frames of each socket, open or ended, for the caller to change.
        """
        self.plan = structs.replace(self.plan, streams=names)
        self.streams = streams
        for slot in self._slots:
            if slot.socket is not None:
                slot.socket.change_streams(add, remove)
        return [*self._retired, *(slot.frames for slot in self._slots)]

    async def run(self) -> None:
        """Keep a socket open until cancelled."""
        sender, events = anyio.create_memory_object_stream[_SlotEvent](1_024)
        self._event_sender = sender
        with sender, events:
            async with anyio.create_task_group() as tasks:
                self._start_slot(tasks)
                async for event in events:
                    await self._handle(event, tasks)

    async def _handle(self, event: _SlotEvent, tasks: TaskGroup) -> None:
        if event.slot not in self._slots:
            return  # a late event of a socket that is closed
        match event:
            case _SlotReady(slot=slot):
                self._on_ready(slot, tasks)
            case _SlotHealthy():
                self._on_healthy()
            case _RenewalDue(slot=slot, cause=cause):
                slot.renewal_cause = cause
                self._start_successor(tasks)
            case _OverlapOver(slot=slot):
                self._on_overlap_over(slot)
                self._start_successor(tasks)
            case _SlotEnded(slot=slot, cause=cause):
                await self._on_ended(slot, cause, tasks)
            case _:
                assert_never(event)

    def _start_slot(self, tasks: TaskGroup, succession_cause: str = "") -> None:
        slot = _Slot(self._new_frames(), succession_cause)
        self._slots.append(slot)
        tasks.start_soon(self._run_slot, slot)

    def _start_successor(self, tasks: TaskGroup) -> None:
        """Dial a successor where one is needed; while two sockets overlap, a new need waits, and
        after a renewal for `RENEWAL_PAUSE_MS`.
        """
        if len(self._slots) == 1 and self._slots[0].renewal_cause:
            slot = self._slots[0]
            cause, slot.renewal_cause = slot.renewal_cause, ""
            wait_ms = self._renewed_ms + RENEWAL_PAUSE_MS - self._setup.clock.monotonic_ms()
            if wait_ms > 0:
                tasks.start_soon(self._send_later, wait_ms, _RenewalDue(slot, cause))
                return
            self._start_slot(tasks, succession_cause=cause)

    async def _run_slot(self, slot: _Slot[Frames]) -> None:
        managed_socket = slot.socket = self._setup.make_socket(
            self.plan,
            self._frame_sink(slot.frames),
            lambda: self._send(_SlotReady(slot)),
            lambda: self._send(
                _RenewalDue(slot, "the venue announced a shutdown of this connection")
            ),
        )
        managed_socket.wait_longer(self._silent_sockets)
        with slot.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew_at_age_limit, slot)
                cause = await managed_socket.run()
                tasks.cancel_scope.cancel()
            self._silent_sockets += managed_socket.was_silent
            self._send(_SlotEnded(slot, cause))

    async def _renew_at_age_limit(self, slot: _Slot[Frames]) -> None:
        spread = 1 - RENEWAL_SPREAD * self._setup.draw()
        await self._setup.clock.sleep_ms(self._setup.renew_after_ms * spread)
        self._send(_RenewalDue(slot, "near the venue's connection age limit"))

    def _on_ready(self, slot: _Slot[Frames], tasks: TaskGroup) -> None:
        if not self.delivering:
            self._setup.listener(ConnectionOpened(self.plan.name, self.plan.venue, self.streams))
        slot.ready = True
        self._silent_sockets = 0
        tasks.start_soon(self._send_later, self._setup.policy.healthy_ms, _SlotHealthy(slot))
        if slot.succession_cause:
            tasks.start_soon(self._send_later, OVERLAP_MS, _OverlapOver(slot))

    def _on_healthy(self) -> None:
        if self.state.fatal:
            self._setup.listener(FatalEnded(self.plan.name, self.plan.venue))
        self.state = after_healthy()

    def _on_overlap_over(self, slot: _Slot[Frames]) -> None:
        for old in [each for each in self._slots if each is not slot]:
            self._close_slot(old)
        self._failed_successors = 0
        self._renewed_ms = self._setup.clock.monotonic_ms()
        self._setup.listener(
            ConnectionRenewed(self.plan.name, self.plan.venue, slot.succession_cause)
        )

    async def _on_ended(self, slot: _Slot[Frames], cause: str, tasks: TaskGroup) -> None:
        was_delivering = self.delivering
        self._close_slot(slot)
        if self.delivering:
            if slot.succession_cause:
                # The successor failed; the old socket delivers, so there is time.
                retry = _RenewalDue(self._slots[0], slot.succession_cause)
                wait_ms = SUCCESSOR_RETRY.wait_ms(self._failed_successors, self._setup.draw())
                self._failed_successors += 1
                tasks.start_soon(self._send_later, wait_ms, retry)
            return
        if was_delivering:
            self._setup.counters.reconnects += 1
            for remaining in self._slots:
                remaining.succession_cause = ""  # after a gap it is a reconnect, not a renewal
        if was_delivering or not self._slots:
            wait_ms = self._report_lost(cause, dialling=bool(self._slots))
            if not self._slots:
                await self._setup.clock.sleep_ms(wait_ms)
                self._start_slot(tasks)

    async def _send_later(self, wait_ms: float, event: _SlotEvent) -> None:
        await self._setup.clock.sleep_ms(wait_ms)
        self._send(event)

    def _close_slot(self, slot: _Slot[Frames]) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
            self._retired = [each for each in self._retired if not each.is_empty]
            self._retired.append(slot.frames)
            slot.scope.cancel()

    def _report_lost(self, cause: str, *, dialling: bool) -> float:
        decision = after_failure(self.state, self._setup.policy, self._setup.draw())
        self.state = decision.state
        # The gate would hold the dial back; the report says how long.
        wait_ms = max(decision.wait_ms, self._setup.gate.wait_ms(private=self._setup.private))
        name, venue, count = self.plan.name, self.plan.venue, decision.state.retry_count
        if isinstance(decision, RetriesExhausted):
            self._setup.listener(ConnectionFatal(name, venue, self.streams, cause, count))
        else:
            # A successor may be dialling already.
            retry_in_ms = 0.0 if dialling else wait_ms
            lost = ConnectionLost(name, venue, self.streams, cause, count, retry_in_ms)
            self._setup.listener(lost)
        return wait_ms

    def _send(self, event: _SlotEvent) -> None:
        if self._event_sender is not None:
            self._event_sender.send_nowait(event)
