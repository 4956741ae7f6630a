"""Timed reads: a socket that has just been read rests until the next tick.

Waking up for each frame costs more than the frame. A burst is not made to wait for a tick: sockets
that have much to say take turns, one each turn of the loop and a bounded amount each time, so that
however many there are, a window's end, a ping and a request wait for one read only.
"""

import socket
from asyncio import Transport
from collections import deque

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.clock import Clock

BURST_BYTES = 65_536
"""More than this in one read is a burst: the kernel holds more, and rests would let it grow."""

RECEIVE_BUFFER_BYTES = 196_608
"""SO_RCVBUF, which Linux doubles: the most one read can take, and what a socket's own buffer grows
to in a burst. 15 Mbit/s at 100 ms round trip fit in: 9,000 frames/s a socket.
"""


def limit_receive_buffer(transport: Transport) -> None:
    """Let the kernel hold at most `RECEIVE_BUFFER_BYTES` for us; the sender waits for the rest."""
    if transport.is_closing():
        return  # the other side has hung up already; there is no socket any more
    opened: socket.socket = transport.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


IDLE_TICK_MS = 1_000
"""The tick where nothing ever rests."""


class ReadPacer:
    """Rests sockets between ticks; one for all sockets of the process.

    Args:
        clock: Waiting.

        interval_ms: Between ticks; 0 reads at once, always.
    """

    def __init__(self, clock: Clock, interval_ms: int) -> None:
        self._clock = clock
        self.interval_ms = interval_ms
        self._paused: list[Transport] = []
        self._queue: deque[Transport] = deque()
        self._queue_event = anyio.Event()

    def pause_until_tick(self, transport: Transport) -> None:
        """Do not read *transport* before the next tick."""
        if self.interval_ms:
            transport.pause_reading()
            self._paused.append(transport)

    def queue_for_reading(self, transport: Transport) -> None:
        """Read *transport* again as soon as those that were queued before it have been read."""
        if self.interval_ms:
            transport.pause_reading()
            self._queue.append(transport)
            self._queue_event.set()

    async def run(self) -> None:
        """Tick, and let bursts take turns, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._resume_on_tick)
            tasks.start_soon(self._resume_queued)

    async def _resume_on_tick(self) -> None:
        while True:
            await self._clock.sleep_ms(self.interval_ms or IDLE_TICK_MS)
            resting, self._paused = self._paused, []
            for transport in resting:
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
