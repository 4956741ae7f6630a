"""The server side of one WebSocket connection: its link, its outbox and its deadlines."""

from abc import abstractmethod

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.streams.connection_rules import (
    LIFETIME_MS,
    SHUTDOWN_LEAD_MS,
    ConnectionRules,
    InboundLimit,
)
from chimera_s1.adapters.simulator.streams.frames import ping_frame, pong_frame, text_header
from chimera_s1.adapters.simulator.streams.impaired_link import ImpairedLink

SKIP_ABOVE_BYTES = 1 << 20
"""Unread bytes above which market data is skipped for a connection."""

DROP_ABOVE_BYTES = 8 << 20
"""Unread bytes above which a connection is dropped."""

POLICY_VIOLATION = 1008
_GOING_AWAY = 1001


class Connection(WSListener):
    """Pings, closes at its deadlines, and can be disturbed; subclasses answer the texts.

    Attributes:
        number: Of this connection among those of its kind, from 1; 0 before it is open.
        link: Carries everything the connection sends.
        muted: It neither sends nor receives, though the socket is open.
        outbox: Pieces of frames for the next `flush`.
        behind: The client reads too slowly: market data is skipped.
        delivered: Data was sent.
        subscriptions: Every acknowledged stream name, delivering or not, in order.
        silent: It answers and pings, and delivers no events of a user stream any more.
    """

    def __init__(self, rules: ConnectionRules, clock: ScaledClock) -> None:
        self.number = 0
        self.link = ImpairedLink()
        self.muted = False
        self.outbox: list[bytes] = []
        self.behind = False
        self.delivered = False
        self.subscriptions: dict[str, None] = {}
        self.silent = False
        self._rules = rules
        self._clock = clock
        self._limit = InboundLimit(rules.inbound_per_second)
        self._transport: WSTransport | None = None
        self._expires_ms = clock.now_ms() + LIFETIME_MS
        self._next_ping_ms = clock.now_ms() + rules.ping_every_ms
        self._unanswered_ping_ms: int | None = None
        self._shutdown_announced = False

    @property
    @abstractmethod
    def is_user_stream(self) -> bool:
        """Whether it carries events of the account."""

    @abstractmethod
    def on_opened(self) -> None:
        """The handshake is complete: register the connection."""

    @abstractmethod
    def on_closed(self) -> None:
        """The socket is closed."""

    @abstractmethod
    def on_text(self, text: bytes) -> None:
        """The client sent a message."""

    @abstractmethod
    def shutdown_notice(self, now_ms: int) -> bytes:
        """`serverShutdown` as this connection sends it."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.link.attach(transport)
        self.on_opened()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  # picows calls it
        self._transport = None
        self.outbox.clear()
        self.on_closed()

    def pause_writing(self) -> None:
        """Ignored: `check_backlog` has limits of its own."""

    def resume_writing(self) -> None:
        """Ignored, as `pause_writing`."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.muted:
            return
        if frame.msg_type is WSMsgType.CLOSE:
            # A close frame without a code is answered as a normal closure (RFC 6455, 7.4.1).
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)
            transport.disconnect()
            return
        if self._limit.exceeded(self._clock.now_ms()):
            self.close(POLICY_VIOLATION, "Too many requests")
            return
        match frame.msg_type:
            case WSMsgType.PING:
                self._send_pong(frame.get_payload_as_bytes())
            case WSMsgType.PONG:
                self._unanswered_ping_ms = None
            case _:
                self.on_text(frame.get_payload_as_bytes())

    @property
    def remote_address(self) -> str:
        """The client's IP address; empty when it is gone."""
        if self._transport is None:
            return ""
        peer = self._transport.underlying_transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    @property
    def unread_bytes(self) -> int:
        """Bytes written that the client's network has not taken yet."""
        if self._transport is None:
            return 0
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size + self.link.waiting

    def check_backlog(self) -> None:
        """Skip frames above SKIP_ABOVE_BYTES; abort the connection above DROP_ABOVE_BYTES."""
        if self._transport is None or self.muted:
            return
        self.behind = self.unread_bytes > SKIP_ABOVE_BYTES
        if self.unread_bytes > DROP_ABOVE_BYTES:
            self.abort()

    def send_text(self, payload: bytes) -> None:
        """Send *payload* as one frame, after what is in the outbox."""
        self.outbox += (text_header(len(payload)), payload)
        self.flush()

    def flush(self) -> None:
        """Write the outbox in one piece."""
        if self.outbox and not self.muted:
            self._send(b"".join(self.outbox))
            self.behind = self.unread_bytes > SKIP_ABOVE_BYTES
        self.outbox.clear()

    def _send(self, frames: bytes) -> None:
        if self._transport is not None and not self._transport.is_close_frame_sent:
            self.link.send(frames, self._clock.local_ms())

    def _send_pong(self, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_close_frame_sent:
            self.link.send_pong(pong_frame(payload), self._clock.local_ms())

    def check_deadlines(self, now_ms: int) -> int:
        """Ping or close if due; the exchange time of the next check."""
        next_check_ms = now_ms + self._rules.ping_every_ms
        if self.muted:
            return next_check_ms
        if now_ms >= self._expires_ms:
            self.close(_GOING_AWAY, "")
            return next_check_ms
        pong_due_ms = self._pong_due_ms()
        if pong_due_ms is not None and now_ms >= pong_due_ms:
            self.close(POLICY_VIOLATION, "Pong timeout")
            return next_check_ms
        if now_ms >= self._next_ping_ms and self._transport is not None:
            self._ping(now_ms)
        return min(self._next_ping_ms, self._expires_ms, self._pong_due_ms() or self._expires_ms)

    def _ping(self, now_ms: int) -> None:
        self._send(ping_frame(b"%d" % now_ms))
        self._next_ping_ms = now_ms + self._rules.ping_every_ms
        if self._unanswered_ping_ms is None:
            self._unanswered_ping_ms = now_ms

    def _pong_due_ms(self) -> int | None:
        if self._unanswered_ping_ms is None:
            return None
        return self._unanswered_ping_ms + self._rules.pong_within_ms

    def can_apply(self, kind: FaultKind) -> bool:
        """Whether *kind* would change anything."""
        match kind:
            case FaultKind.DISCONNECT:
                return True
            case FaultKind.SHUTDOWN:
                return not self.muted and not self._shutdown_announced
            case FaultKind.CLOSE_AFTER_DATA:
                return not self.muted and self.delivered
            case FaultKind.SILENT:
                return self.is_user_stream and not self.muted and not self.silent
            case FaultKind.END_SUBSCRIPTION:
                return False
            case _:
                return not self.muted

    def silence(self) -> None:
        """Deliver no events of a user stream any more, and give no sign of it."""
        self.silent = True

    def end_subscription(self, now_ms: int) -> None:  # streams of market data have none
        """End the subscription to the account's events, and say so; the socket stays open."""

    def mute(self) -> None:
        """Stop sending and receiving; the socket stays open."""
        self.muted = self.behind = True
        self.link.mute()

    def announce_shutdown(self, now_ms: int) -> None:
        """Send `serverShutdown` and end the connection SHUTDOWN_LEAD_MS later."""
        self.send_text(self.shutdown_notice(now_ms))
        self._expires_ms = min(self._expires_ms, now_ms + SHUTDOWN_LEAD_MS)
        self._shutdown_announced = True

    def close(self, code: int, reason: str) -> None:
        """End the connection with a close frame."""
        if self._transport is not None:
            self.flush()
            self._transport.send_close(WSCloseCode(code), reason.encode())
            self._transport.disconnect()

    def abort(self) -> None:
        """End the connection without a close frame."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
