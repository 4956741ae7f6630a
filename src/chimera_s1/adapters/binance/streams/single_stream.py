"""One stream of the futures on a connection of its own."""

from collections.abc import Callable

import anyio
from msgspec import Struct, structs

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.streams.book_messages import stream_of
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.managed_connection import (
    ManagedConnection,
    ManagedConnectionSetup,
)
from chimera_s1.adapters.binance.streams.market_socket import FrameSink, MarketSocket, SocketPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import FeedCounters, FeedListener

RENEW_AFTER_MS = 23 * 3_600_000
SILENCE_CHECK_MS = 1_000

_FOR_EVER = 2**63


class SingleStreamPlan(Struct, frozen=True, kw_only=True):
    """Attributes:
    connection: Its name: `perp-funding`.
    stream: Binance's name: `!contractInfo`.
    silent_checks_max: A connection without a message over this many seconds is dead, whatever its
        pongs say; counted in checks, because after a stall of this process there is unread data.
        None: it may be silent for days, so an acknowledged subscription counts as delivering.
    """

    connection: str
    stream: str
    url: str
    silent_checks_max: int | None
    egress: Egress = DIRECT


class _Received:
    """Implements `managed_connection.SocketFrames`: messages are passed on and not kept."""

    is_empty = True

    def __init__(self) -> None:
        self.last_message_ms = 0


class SingleStream:
    """Args:
    policy: Its retries never run out: a connection without market data is no reason to stop
        trading.
    gate: Of the futures; shared by everything that dials them.
    draw: Uniform in [0, 1), for jitter.
    listener: Called on each change of the connection.
    on_message: Called with each message of the stream; must neither wait nor raise.
    """

    def __init__(
        self,
        plan: SingleStreamPlan,
        *,
        policy: ReconnectPolicy,
        clock: Clock,
        gate: DialGate,
        draw: Callable[[], float],
        listener: FeedListener,
        on_message: Callable[[bytes], None],
    ) -> None:
        self._plan = plan
        self._name = plan.stream.encode()
        self._start = b'{"stream":"%b"' % self._name
        self._clock = clock
        self._gate = gate
        self._listener = listener
        self._on_message = on_message
        self._messages = 0
        self._counters = FeedCounters()
        self._pacer = ReadPacer(clock, interval_ms=0)
        setup = ManagedConnectionSetup(
            policy=structs.replace(policy, retries_max=_FOR_EVER),
            renew_after_ms=RENEW_AFTER_MS,
            clock=clock,
            gate=gate,
            draw=draw,
            counters=self._counters,
            listener=listener,
            make_socket=self._make_socket,
        )
        socket = SocketPlan(plan.connection, Venue.PERP, plan.url, (plan.stream,), plan.egress)
        self._connection = ManagedConnection(socket, (), setup, _Received, self._sink)

    async def run(self) -> None:
        """Keep the stream subscribed until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._plan.silent_checks_max is not None:
                tasks.start_soon(self._end_silence, self._plan.silent_checks_max)
            await self._connection.run()

    @property
    def delivering(self) -> bool:
        return self._connection.delivering

    @property
    def unreadable(self) -> int:
        """Messages that do not belong to the stream."""
        return sum(self._counters.dropped.values())

    @property
    def reconnects(self) -> int:
        return self._counters.reconnects

    async def _end_silence(self, checks_max: int) -> None:
        seen, silent = self._messages, 0
        while True:
            await self._clock.sleep_ms(SILENCE_CHECK_MS)
            is_silent = self.delivering and self._messages == seen
            seen, silent = self._messages, silent + 1 if is_silent else 0
            if silent >= checks_max:
                silent = 0
                self._connection.reconnect(f"no message of {self._plan.stream} for {checks_max} s")

    def _sink(self, received: _Received) -> FrameSink:
        def put(payload: bytes, received_ms: int) -> bool:
            # The name comes first, and without spaces, in what Binance sends.
            if not payload.startswith(self._start) and stream_of(payload) != self._name:
                return False
            received.last_message_ms = received_ms
            self._messages += 1
            self._on_message(payload)
            return True

        return put

    def _make_socket(
        self,
        plan: SocketPlan,
        sink: FrameSink,
        on_data: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> MarketSocket:
        return MarketSocket(
            plan,
            sink,
            self._counters,
            clock=self._clock,
            gate=self._gate,
            pacer=self._pacer,
            listener=self._listener,
            on_first_data=on_data,
            on_shutdown=on_shutdown,
            may_be_silent=lambda: self._plan.silent_checks_max is None,
        )
