"""
Timed reads: a socket that has just been read rests until the next tick.

Waking up for each frame costs more than the frame. A burst is not made to wait: a socket that had
much to say is read again in the next turn of the loop, a bounded amount each time.
"""

import socket
from asyncio import Transport

from chimera_s1.domain.ports.clock import Clock

BURST_BYTES = 65_536
"""
More than this in one read is a burst: the kernel holds more, and rests would let it grow.
"""

RECEIVE_BUFFER_BYTES = 524_288
"""
SO_RCVBUF: with it, what one turn of the loop can read, so that a burst delays no window's end, no
ping and no request by more than a few ms. 40 Mbit/s at 100 ms round trip fit in.
"""


def bound_reads(transport: Transport) -> None:
    """
    Let the kernel hold at most `RECEIVE_BUFFER_BYTES` for us; the sender waits for the rest.
    """
    if transport.is_closing():
        return  # the other side has hung up already; there is no socket any more
    opened: socket.socket = transport.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


IDLE_MS = 1_000
"""
The tick where nothing ever rests.
"""


class ReadPacer:
    """
    Rests sockets between ticks; one for all sockets of the process.

    Args:
        clock: Waiting.

        interval_ms: Between ticks; 0 reads at once, always.
    """

    def __init__(self, clock: Clock, interval_ms: int) -> None:
        self._clock = clock
        self.interval_ms = interval_ms
        self._resting: list[Transport] = []

    def rest(self, transport: Transport) -> None:
        """
        Do not read *transport* before the next tick.
        """
        if self.interval_ms:
            transport.pause_reading()
            self._resting.append(transport)

    async def run(self) -> None:
        """
        Tick until cancelled.
        """
        while True:
            await self._clock.sleep_ms(self.interval_ms or IDLE_MS)
            resting, self._resting = self._resting, []
            for transport in resting:
                if not transport.is_closing():
                    transport.resume_reading()
