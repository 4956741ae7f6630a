"""The link from a connection to its client: direct, delayed, throttled or dead."""

from collections import deque

from picows import WSTransport

LATE_PONGS_MAX = 1_000
"""Pongs held back; beyond it the oldest are lost."""


class ImpairedLink:
    """Sits between a session and its socket; `release_due` sends what it holds back.

    Attributes:
        waiting: Bytes held back.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._transport: WSTransport | None = None
        self._held: deque[tuple[int, bytes]] = deque()
        self._delay_ms = 0
        self._bytes_per_s = 0
        self._pong_delay_ms = 0
        self._late_pongs: deque[tuple[int, bytes]] = deque(maxlen=LATE_PONGS_MAX)
        self._released_ms = 0
        self._muted = False

    def attach(self, transport: WSTransport) -> None:
        self._transport = transport

    def impair(self, *, delay_ms: int, bytes_per_s: int, pong_delay_ms: int) -> None:
        """From now on delay everything by *delay_ms*, pongs by *pong_delay_ms* in addition, and
        send at most *bytes_per_s*; 0 is off.
        """
        self._delay_ms = delay_ms
        self._pong_delay_ms = pong_delay_ms
        self._bytes_per_s = bytes_per_s

    def mute(self) -> None:
        """Send nothing any more, as if the network path to the client were cut."""
        self._muted = True
        self._held.clear()
        self.waiting = 0

    def send(self, data: bytes, now_ms: int) -> None:
        """Send or hold back whole frames; *now_ms* is local time."""
        if self._muted or self._transport is None:
            return
        if self._held or self._delay_ms or self._bytes_per_s:
            self._held.append((now_ms + self._delay_ms, data))
            self.waiting += len(data)
        else:
            self._transport.underlying_transport.write(data)

    def send_pong(self, frame: bytes, now_ms: int) -> None:
        """Send a pong, or hold it back while everything else goes on."""
        if self._pong_delay_ms:
            self._late_pongs.append((now_ms + self._pong_delay_ms, frame))
        else:
            self.send(frame, now_ms)

    def release_due(self, now_ms: int) -> None:
        """Send what may go by *now_ms*, part of a frame if need be."""
        while self._late_pongs and self._late_pongs[0][0] <= now_ms:
            self.send(self._late_pongs.popleft()[1], now_ms)
        allowed = self._allowance(now_ms)
        while self._held and self._held[0][0] <= now_ms and self._transport is not None:
            due_ms, data = self._held.popleft()
            piece = data[:allowed] if self._bytes_per_s else data
            allowed -= len(piece)
            self.waiting -= len(piece)
            self._transport.underlying_transport.write(piece)
            if len(piece) < len(data):
                self._held.appendleft((due_ms, data[len(piece) :]))
                return

    def _allowance(self, now_ms: int) -> int:
        # At most one second's worth: an idle link does not burst.
        passed_ms = min(now_ms - self._released_ms, 1000)
        allowed = self._bytes_per_s * passed_ms // 1000
        if allowed or not self._bytes_per_s:
            self._released_ms = now_ms
        return allowed
