"""One socket of an account's stream: dial, subscribe, ping, and say why it ended.

A quiet account has no events, so silence ends nothing: a socket is given up when not even a pong
arrives. Whether one that answers pings is deaf, only a query can show.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import anyio
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.fragments import FragmentedMessages
from chimera_s1.adapters.binance.streams.ping_log import (
    PING_INTERVAL_MS,
    SILENT_PINGS_MAX,
    PingLog,
)
from chimera_s1.adapters.binance.streams.socket_dial import (
    FRAME_BYTES_MAX,
    SocketAddress,
    SocketEnded,
    answer_close,
    dial,
    first_cause,
    wait_until_closed,
)
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.ports.clock import Clock

READY_TIMEOUT_S = 10.0


class PrivateSession(Protocol):
    """What is said on one socket; a venue has its own."""

    async def prepare(self) -> SocketAddress:
        """Where to dial; raises `ChimeraError` without a key or a clock to sign with."""
        ...

    def opened(self, socket: "PrivateSocket") -> None:
        """Subscribe; calls `set_ready` now or later."""
        ...

    def received(self, socket: "PrivateSocket", payload: bytes, received_ms: int) -> None:
        """Take a text message; must neither wait nor raise."""
        ...

    def dropped(self, reason: str, received_ms: int) -> None:
        """A message is no text, or too long."""
        ...


class PrivateSocket(WSListener):
    """Make a new one for each dial.

    Args:
        on_read: Called with the receive time of whatever arrives, pongs included.
        on_ready: Called once it is subscribed.
        on_shutdown: Called when the venue announces that it will close the socket.
    """

    was_silent = False

    def __init__(
        self,
        name: str,
        session: PrivateSession,
        *,
        clock: Clock,
        gate: DialGate,
        on_read: Callable[[int], None],
        on_ready: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> None:
        self._name = name
        self._session = session
        self._clock = clock
        self._gate = gate
        self._on_read = on_read
        self._on_ready = on_ready
        self._on_shutdown = on_shutdown
        self._transport: WSTransport | None = None
        self._ready = anyio.Event()
        self._pings = PingLog(clock)
        self._reads = 0
        self._fragments = FragmentedMessages(FRAME_BYTES_MAX)
        self._cause = ""

    def wait_longer(self, silent_sockets: int) -> None:
        """Nothing: it does not wait for data."""

    def change_streams(self, add: Sequence[str], remove: Collection[str]) -> None:
        """Nothing: an account has one stream."""

    async def run(self) -> str:
        """Dial when the venue's limits allow it, subscribe and wait for the end of the socket;
        return its cause as text.
        """
        try:
            address = await self._session.prepare()
            await self._gate.admit(private=True)
            transport = await dial(self, address, self._gate, self._name)
        except (SocketEnded, ChimeraError) as error:
            return str(error)
        try:
            async with anyio.create_task_group() as tasks:
                self._transport = transport
                self._session.opened(self)
                tasks.start_soon(self._await_ready)
                tasks.start_soon(self._ping, transport)
                cause = await wait_until_closed(transport)
                raise SocketEnded(self._cause or cause)
        except* SocketEnded as group:
            cause = address.mask(first_cause(group))
        finally:
            transport.disconnect(graceful=False)
        return cause

    def send(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, text)

    def set_ready(self) -> None:
        if not self._ready.is_set():
            self._ready.set()
            self._on_ready()

    def announce_shutdown(self) -> None:
        self._on_shutdown()

    def end(self, cause: str) -> None:
        """Close it; another one is dialled."""
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.disconnect()

    async def _await_ready(self) -> None:
        with anyio.move_on_after(READY_TIMEOUT_S):
            await self._ready.wait()
            return
        raise SocketEnded(f"no reply to the subscription within {READY_TIMEOUT_S:g} s")

    async def _ping(self, transport: WSTransport) -> None:
        while True:
            await self._clock.sleep_ms(PING_INTERVAL_MS)
            if self._pings.is_dead(self._reads):
                silence_s = SILENT_PINGS_MAX * PING_INTERVAL_MS / 1000
                raise SocketEnded(f"nothing received for {silence_s:g} s, not even a pong")
            transport.send_ping(self._pings.start_ping())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        received_ms = self._clock.now_ms()
        self._reads += 1
        if frame.msg_type is WSMsgType.PONG:
            self._pings.record_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            answer_close(transport, frame, self._gate)
        else:
            self._on_data(frame, received_ms)
        self._on_read(received_ms)

    def _on_data(self, frame: WSFrame, received_ms: int) -> None:
        payload = frame.get_payload_as_bytes()
        message = self._fragments.add(frame.msg_type, payload, last=bool(frame.fin))
        if isinstance(message, str):
            self._session.dropped(message, received_ms)
        elif message is not None:
            self._session.received(self, message, received_ms)
