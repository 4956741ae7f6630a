"""One market data socket: dial, subscribe at the allowed pace, ping, and say why it ended.

Rules (SPOT web-socket-streams.md, USD-M websocket-market-streams; read 2026-11-22): the venue pings
and expects its payload back; messages from the client are limited per second; an acknowledged
subscription proves nothing, only data does.

Pings measure round trips. A socket that delivers is alive however late its pongs are; it is given
up only when nothing at all has arrived for some time.
"""

import logging
from collections.abc import Callable, Collection, Sequence

import anyio
from msgspec import Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.fragments import FragmentedMessages
from chimera_s1.adapters.binance.streams.ping_log import (
    PING_INTERVAL_MS,
    SILENT_PINGS_MAX,
    UNANSWERED_WARNING,
    PingLog,
)
from chimera_s1.adapters.binance.streams.read_pacer import BURST_BYTES, ReadPacer
from chimera_s1.adapters.binance.streams.socket_dial import (
    FRAME_BYTES_MAX,
    SocketAddress,
    SocketEnded,
    answer_close,
    dial,
    first_cause,
    wait_until_closed,
)
from chimera_s1.adapters.binance.streams.subscriptions import (
    RequestAcknowledged,
    RequestRefused,
    ShutdownAnnounced,
    SubscriptionRequests,
    UnreadableMessage,
    decode_control_message,
    message_interval_ms,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    FeedCounters,
    FeedListener,
    MessageDropped,
    RoundTrip,
    StreamRefused,
)

FIRST_MESSAGE_TIMEOUT_S = 10.0
PATIENCE_MAX = 5
"""How often the wait for the first data doubles: up to 320 s."""

PROMPT_READ_MS = 1_000
"""How long a socket is read at once for its pong; later the read interval is a small part of the
round trip.
"""

SHOWN_BYTES = 200
"""Of a message that is dropped, in its report."""

_log = logging.getLogger(__name__)

FrameSink = Callable[[bytes, int], bool]
"""Takes a message and its receive time, epoch ms; False for anything but subscribed data."""


class SocketPlan(Struct, frozen=True):
    """Attributes:
    name: `spot-0`.

    streams: Names to subscribe at first, 1 to 1024.

    egress: How its connections get to the exchange.
    """

    name: str
    venue: Venue
    url: str
    streams: tuple[str, ...]
    egress: Egress = DIRECT


class MarketSocket(WSListener):
    """One socket, from dial to end; make a new one for each dial.

    Args:
        may_be_silent: True while its streams may have no data for hours: an acknowledged request
            then counts as its first data.
    """

    def __init__(
        self,
        plan: SocketPlan,
        sink: FrameSink,
        counters: FeedCounters,
        *,
        clock: Clock,
        gate: DialGate,
        pacer: ReadPacer,
        listener: FeedListener,
        on_first_data: Callable[[], None],
        on_shutdown: Callable[[], None],
        may_be_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan = plan
        self._may_be_silent = may_be_silent
        self._sink = sink
        self._counters = counters
        self._clock = clock
        self._gate = gate
        self._pacer = pacer
        self._listener = listener
        self._on_data = on_first_data
        self._on_shutdown = on_shutdown
        self._now_ms = 0
        self._read_starts = True
        self._read_start_bytes = 0
        self._has_delivered = False
        self._has_reported_drop = False
        self._fragments = FragmentedMessages(FRAME_BYTES_MAX)
        self._patience = 0
        self.was_silent = False
        """True if it was open, and ended because it brought no data."""
        self._first_data = anyio.Event()
        self._pings = PingLog(clock)
        self._reads = 0
        self._prompt_until_ms = 0
        self._pongs_missed = False
        self._subscribe_error: str | None = None
        self._requests = SubscriptionRequests(plan.streams)
        self._more_requests = anyio.Event()

    def wait_longer(self, silent_sockets: int) -> None:
        """Wait longer for the first data after *silent_sockets* that brought none: streams of calm
        markets may have none for minutes, and another socket does not help.
        """
        self._patience = min(silent_sockets, PATIENCE_MAX)

    def change_streams(self, add: Sequence[str], remove: Collection[str]) -> None:
        """Unsubscribe *remove* and subscribe *add*, at the allowed pace; before the socket is open
        only its first requests change.
        """
        self._requests.change(add, remove)
        self._more_requests.set()

    async def run(self) -> str:
        """Dial when the venue's limits allow it, subscribe and wait for the end of the socket;
        return its cause as text.
        """
        await self._gate.admit()
        try:
            address = SocketAddress(self._plan.url, self._plan.egress)
            transport = await dial(self, address, self._gate, self._plan.name)
        except SocketEnded as ended:
            return str(ended)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._subscribe, transport)
                tasks.start_soon(self._await_first_data)
                tasks.start_soon(self._ping, transport)
                await self._wait_until_closed(transport)
        except* SocketEnded as group:
            cause = first_cause(group)
        finally:
            transport.disconnect(graceful=False)
        return cause

    async def _wait_until_closed(self, transport: WSTransport) -> None:
        cause = await wait_until_closed(transport)
        raise SocketEnded(self._subscribe_error or cause)

    async def _subscribe(self, transport: WSTransport) -> None:
        pause_ms = 0.0
        while True:
            if request := self._requests.next_request():
                await self._clock.sleep_ms(pause_ms)
                transport.send(WSMsgType.TEXT, request)
                pause_ms = message_interval_ms(self._plan.venue)
            else:
                self._more_requests = anyio.Event()
                await self._more_requests.wait()

    async def _await_first_data(self) -> None:
        timeout_s = FIRST_MESSAGE_TIMEOUT_S * 2**self._patience
        with anyio.move_on_after(timeout_s):
            await self._first_data.wait()
            return
        self.was_silent = True
        silent = f"no data within {timeout_s:g} s of subscribing"
        open_requests = self._requests.unacknowledged
        raise SocketEnded(
            f"{silent} ({open_requests} requests not acknowledged)" if open_requests else silent
        )

    async def _ping(self, transport: WSTransport) -> None:
        while True:
            await self._clock.sleep_ms(PING_INTERVAL_MS)
            if self._pings.is_dead(self._reads):
                silence_s = SILENT_PINGS_MAX * PING_INTERVAL_MS / 1000
                raise SocketEnded(f"nothing received for {silence_s:g} s, not even a pong")
            transport.send_ping(self._pings.start_ping())
            self._requests.repeat_overdue()
            self._more_requests.set()
            self._warn_of_missing_pongs()
            self._prompt_until_ms = self._clock.now_ms() + PROMPT_READ_MS
            self._pacer.read_now(transport.underlying_transport)

    def _warn_of_missing_pongs(self) -> None:
        if self._pings.unanswered < UNANSWERED_WARNING or self._pongs_missed:
            return
        self._pongs_missed = True
        _log.warning(
            "%s: %d pings have no pong yet, but the socket delivers and is kept; its round trip is "
            "unknown or very long",
            self._plan.name,
            self._pings.unanswered,
        )

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The hot path: one lookup of the name, one reference kept."""
        if self._read_starts:
            self._read_starts = False
            self._reads += 1
            self._now_ms = self._clock.now_ms()
            self._read_start_bytes = self._counters.bytes
        if frame.last_in_buffer:
            self._read_starts = True
            if self._counters.bytes - self._read_start_bytes > BURST_BYTES:
                self._pacer.queue_for_reading(transport.underlying_transport)
            elif self._now_ms >= self._prompt_until_ms:
                self._pacer.pause_until_tick(transport.underlying_transport)
        if frame.msg_type is WSMsgType.TEXT and frame.fin:
            payload: bytes | None = frame.get_payload_as_bytes()
        else:
            payload = self._on_other_frame(transport, frame)
        if payload is None:
            return
        if not self._sink(payload, self._now_ms):
            self._handle_control(transport, payload)
        elif not self._has_delivered:
            self._set_ready()

    def _set_ready(self) -> None:
        self._has_delivered = True
        self._first_data.set()
        self._on_data()

    def _on_other_frame(self, transport: WSTransport, frame: WSFrame) -> bytes | None:
        """The message that *frame* completes, if any."""
        if frame.msg_type is WSMsgType.PONG:
            self._on_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            answer_close(transport, frame, self._gate)
        else:
            return self._join_fragment(frame)
        return None

    def _join_fragment(self, frame: WSFrame) -> bytes | None:
        payload = frame.get_payload_as_bytes()
        message = self._fragments.add(frame.msg_type, payload, last=bool(frame.fin))
        if isinstance(message, str):
            self._drop(message, payload)
            return None
        return message

    def _on_pong(self, payload: bytes) -> None:
        rtt_ms = self._pings.record_pong(payload)
        if rtt_ms is not None:
            self._prompt_until_ms = 0
            self._listener(RoundTrip(self._plan.name, self._plan.venue, rtt_ms))

    def _handle_control(self, transport: WSTransport, payload: bytes) -> None:
        match decode_control_message(payload):
            case RequestAcknowledged(id=number):
                self._requests.acknowledge(number)
                if not self._has_delivered and self._may_be_silent():
                    self._set_ready()
            case RequestRefused() as refused:
                self._on_refusal(transport, refused)
            case ShutdownAnnounced():
                self._on_shutdown()
            case UnreadableMessage(stream=""):
                self._drop("unintelligible", payload)
            case UnreadableMessage():
                self._drop("unsubscribed", payload)

    def _on_refusal(self, transport: WSTransport, refused: RequestRefused) -> None:
        self._gate.record_refused_request(refused.message)
        cause = f"SUBSCRIBE refused by the venue: {refused.code} {refused.message}"
        if refused.id is not None:
            if name := self._requests.refuse(refused.id):
                self._listener(StreamRefused(self._plan.name, self._plan.venue, name, cause))
            self._more_requests.set()
        if refused.id is None or not self._requests.accepted:
            self._subscribe_error = cause
            transport.disconnect()

    def _drop(self, reason: str, payload: bytes) -> None:
        self._counters.drop_unreadable(self._plan.name, reason)
        if not self._has_reported_drop:
            # Once a socket: every message may be of this kind.
            self._has_reported_drop = True
            start = payload[:SHOWN_BYTES].decode(errors="replace")
            self._listener(MessageDropped(self._plan.name, self._plan.venue, reason, start))
