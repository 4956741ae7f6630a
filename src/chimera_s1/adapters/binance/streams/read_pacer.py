"""Timed reads: a socket that has just been read is paused until the next tick.

Waking up for each frame costs more than the frame. A burst does not wait for a tick: sockets with
much to read take turns, one for each turn of the loop and a bounded amount each time. So the end of
a window, a ping or a request waits for one read at most, however many sockets there are.
"""

import socket
from asyncio import Transport
from collections import deque

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.clock import Clock

BURST_BYTES = 65_536
"""More than this in one read is a burst: the kernel holds more, and a pause would let it grow."""

RECEIVE_BUFFER_BYTES = 196_608
"""SO_RCVBUF, which Linux doubles: the most that one read can return. Enough for 15 Mbit/s at a
round trip of 100 ms: 9,000 frames/s for each socket.
"""


def limit_receive_buffer(transport: Transport) -> None:
    """Bound what the kernel buffers; the sender waits with the rest."""
    if transport.is_closing():
        return  # closed by the other side already; there is no socket any more
    opened: socket.socket = transport.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


IDLE_TICK_MS = 1_000
"""The tick where no socket is ever paused."""


class ReadPacer:
    """Pauses sockets between ticks; one for all sockets of the process.

    With an *interval_ms* of 0 every socket is always read at once.
    """

    def __init__(self, clock: Clock, interval_ms: int) -> None:
        self._clock = clock
        self.interval_ms = interval_ms
        self._paused: list[Transport] = []
        self._queue: deque[Transport] = deque()
        self._queue_event = anyio.Event()

    def pause_until_tick(self, transport: Transport) -> None:
        """Pause reading until the next tick."""
        if self.interval_ms:
            transport.pause_reading()
            self._paused.append(transport)

    def queue_for_reading(self, transport: Transport) -> None:
        """Pause reading until the sockets queued before this one have been read."""
        if self.interval_ms:
            transport.pause_reading()
            self._queue.append(transport)
            self._queue_event.set()

    def read_now(self, transport: Transport) -> None:
        """End a pause before its tick, which then changes nothing."""
        _resume_reading(transport)

    async def run(self) -> None:
        """Resume paused sockets until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._resume_on_tick)
            tasks.start_soon(self._resume_queued)

    async def _resume_on_tick(self) -> None:
        while True:
            await self._clock.sleep_ms(self.interval_ms or IDLE_TICK_MS)
            paused, self._paused = self._paused, []
            for transport in paused:
                _resume_reading(transport)

    async def _resume_queued(self) -> None:
        while True:
            await self._queue_event.wait()
            self._queue_event = anyio.Event()
            while self._queue:
                _resume_reading(self._queue.popleft())
                await checkpoint()


def _resume_reading(transport: Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
