"""
One client connection: what it subscribed to, what waits to be written, how long it may live.
"""

from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import Deed
from chimera_s1.adapters.simulator.streams.connection_rules import (
    LIFETIME_MS,
    SHUTDOWN_LEAD_MS,
    ConnectionRules,
    InboundLimit,
)
from chimera_s1.adapters.simulator.streams.control_messages import STREAMS_MAX, Changes, answer
from chimera_s1.adapters.simulator.streams.frames import ping_frame, pong_frame, text_header
from chimera_s1.adapters.simulator.streams.impaired_link import Line
from chimera_s1.adapters.simulator.streams.stream_names import ConnectionPath

BEHIND_BYTES = 1 << 20
"""
Unread bytes from which market data is skipped for this connection.
"""

DROPPED_BYTES = 8 << 20
"""
Unread bytes at which the connection is dropped.
"""

_GOING_AWAY = 1001
_POLICY = 1008


class Sessions(Protocol):
    """
    Who keeps the connections of a venue.
    """

    def opened(self, session: "Session") -> None:
        """
        The handshake is done.
        """

    def closed(self, session: "Session") -> None:
        """
        The connection is gone.
        """

    def changed(self, session: "Session", changes: Changes) -> None:
        """
        The client asked for *changes*.
        """


class Session(WSListener):
    """
    A picows listener that is also the outbox of its connection.

    Attributes:
        number: Which connection of its venue it is, from 1; 0 before it is open.

        subscriptions: Every acknowledged name, delivering or not, in order.

        line: What it sends goes through it.

        muted: It neither sends nor listens, and nobody told the client.

        skipped: Frames not sent because the client reads too slowly.
    """

    def __init__(
        self, path: ConnectionPath, rules: ConnectionRules, clock: ScaledClock, owner: Sessions
    ) -> None:
        self.path = path
        self.number = 0
        self.line = Line()
        self.muted = False
        self.combined = path.combined
        self.subscriptions: dict[str, None] = {}
        self.outbox: list[bytes] = []
        self.behind = False
        self.skipped = 0
        self._rules = rules
        self._clock = clock
        self._owner = owner
        self._limit = InboundLimit(rules.inbound_per_second)
        self._transport: WSTransport | None = None
        self._cut_ms = clock.now_ms() + LIFETIME_MS
        self._ping_ms = clock.now_ms() + rules.ping_every_ms
        self._unanswered_ms: int | None = None
        self._ending = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """
        Start with the streams of the URL.
        """
        self._transport = transport
        self.line.attach(transport)
        self._owner.opened(self)
        if len(set(self.path.streams)) > STREAMS_MAX:
            self.close(_POLICY, "Too many subscriptions")
            return
        self._owner.changed(self, Changes(subscribe=self.path.streams))

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  # picows calls it
        """
        Leave the venue.
        """
        self._transport = None
        self.outbox.clear()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """
        Nothing: `measure` decides, at a mark of its own.
        """

    def resume_writing(self) -> None:
        """
        Nothing, as above.
        """

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """
        Count it, then answer it.
        """
        if self.muted:
            return
        if frame.msg_type is WSMsgType.CLOSE:
            # A close frame without a code is answered as a normal closure (RFC 6455, 7.4.1).
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)
            transport.disconnect()
            return
        if self._limit.exceeded(self._clock.now_ms()):
            self.close(_POLICY, "Too many requests")
            return
        match frame.msg_type:
            case WSMsgType.PING:
                self._send(pong_frame(frame.get_payload_as_bytes()))
            case WSMsgType.PONG:
                self._unanswered_ms = None
            case _:
                self._on_text(frame.get_payload_as_bytes())

    def _on_text(self, text: bytes) -> None:
        answered = answer(text, subscribed=list(self.subscriptions), combined=self.combined)
        # The reply leaves before the first frame of the stream it acknowledges.
        self.outbox += (text_header(len(answered.reply)), answered.reply)
        self.flush()
        if answered.close:
            self.close(_POLICY, "Too many subscriptions")
            return
        self._owner.changed(self, answered.changes)

    @property
    def unread(self) -> int:
        """
        Bytes written that the client's network has not taken yet.
        """
        if self._transport is None:
            return 0
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size + self.line.waiting

    def measure(self) -> None:
        """
        Ask the transport how much the client has not read yet; drop it beyond DROPPED_BYTES.
        """
        if self._transport is None or self.muted:
            return
        self.behind = self.unread > BEHIND_BYTES
        if self.unread > DROPPED_BYTES:
            self.cut()

    def flush(self) -> None:
        """
        Write the outbox in one piece.
        """
        if self.outbox and not self.muted:
            self._send(b"".join(self.outbox))
            self.behind = self.unread > BEHIND_BYTES
        self.outbox.clear()

    def _send(self, frames: bytes) -> None:
        if self._transport is not None and not self._transport.is_close_frame_sent:
            self.line.send(frames, self._clock.local_ms())

    def tend(self, now_ms: int) -> int:
        """
        Ping, time out, or end the connection where that is due; when to look again (exchange time).
        """
        if self.muted:
            return now_ms + self._rules.ping_every_ms
        if now_ms >= self._cut_ms:
            self.close(_GOING_AWAY, "")
            return now_ms + self._rules.ping_every_ms
        pong_due = self._pong_due()
        if pong_due is not None and now_ms >= pong_due:
            self.close(_POLICY, "Pong timeout")
            return now_ms + self._rules.ping_every_ms
        if now_ms >= self._ping_ms and self._transport is not None:
            self._send(ping_frame(b"%d" % now_ms))
            self._ping_ms = now_ms + self._rules.ping_every_ms
            self._unanswered_ms = now_ms if self._unanswered_ms is None else self._unanswered_ms
        return min(self._ping_ms, self._cut_ms, self._pong_due() or self._cut_ms)

    def _pong_due(self) -> int | None:
        if self._unanswered_ms is None:
            return None
        return self._unanswered_ms + self._rules.pong_within_ms

    def strikable(self, deed: Deed) -> bool:
        """
        Whether *deed* would change anything.
        """
        match deed:
            case Deed.DISCONNECT:
                return True
            case Deed.SHUTDOWN:
                return not self.muted and not self._ending
            case _:
                return not self.muted

    def mute(self) -> None:
        """
        From now on neither send nor listen; the socket stays open.
        """
        self.muted = self.behind = True
        self.line.mute()

    def announce_shutdown(self, now_ms: int) -> None:
        """
        Send `serverShutdown` in this connection's shape and end it SHUTDOWN_LEAD_MS later.
        """
        event = b'{"e":"serverShutdown","E":%d}' % now_ms
        if self.combined:
            event = b'{"stream":"!serverShutdown","data":%b}' % event
        self.outbox += (text_header(len(event)), event)
        self.flush()
        self._cut_ms = min(self._cut_ms, now_ms + SHUTDOWN_LEAD_MS)
        self._ending = True

    def close(self, code: int, reason: str) -> None:
        """
        End the connection with a close frame.
        """
        if self._transport is not None:
            self.flush()
            self._transport.send_close(WSCloseCode(code), reason.encode())
            self._transport.disconnect()

    def cut(self) -> None:
        """
        End the connection without a word.
        """
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
