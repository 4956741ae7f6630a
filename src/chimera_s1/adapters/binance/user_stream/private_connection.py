"""The connection of one account's stream, and what it knows of its own state."""

import logging
from collections import Counter
from collections.abc import Callable

from msgspec import Struct, structs

from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.managed_connection import (
    OVERLAP_MS,
    ManagedConnection,
    ManagedConnectionSetup,
)
from chimera_s1.adapters.binance.streams.market_socket import FrameSink, SocketPlan
from chimera_s1.adapters.binance.streams.ping_log import PING_INTERVAL_MS, SILENT_PINGS_MAX
from chimera_s1.adapters.binance.user_stream.event_reading import UserEvent
from chimera_s1.adapters.binance.user_stream.private_socket import PrivateSession, PrivateSocket
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.account_stream import (
    StreamCondition,
    StreamEvent,
    StreamReport,
    StreamResumed,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FeedCounters,
    FeedEvent,
)
from chimera_s1.domain.ports.operations_log import EventDetail

RENEW_AFTER_MS = 23 * 3_600_000
"""Binance cuts a socket at 24 h."""

SILENCE_MAX_MS = (SILENT_PINGS_MAX + 1) * PING_INTERVAL_MS
"""A dead socket may look alive for so long."""

KNOWN_PROBLEMS_MAX = 100
"""Unknown names and problems that are reported; further ones are only counted."""

_FOR_EVER = 2**63
_log = logging.getLogger(__name__)

ReportOnce = Callable[[str, EventDetail], None]


class _NoFrames:
    """Implements `managed_connection.SocketFrames`: events are passed on and not kept."""

    is_empty = True
    last_message_ms = 0


class StreamSetup(Struct, frozen=True, kw_only=True):
    """The same for both venues.

    Attributes:
        gate: Of the venue; shared by everything that dials it.
        draw: Uniform in [0, 1), for jitter.
        report: Takes the kind of an operations event and its details, once for each unknown event
            and each problem; must not raise.
        policy: Its retries never run out.
    """

    clock: Clock
    gate: DialGate
    draw: Callable[[], float]
    report: ReportOnce
    policy: ReconnectPolicy = ReconnectPolicy()
    renew_after_ms: int = RENEW_AFTER_MS


class PrivateConnection:
    """Keeps one subscribed socket, two while it is renewed.

    Attributes:
        unknown: Events that this version does not know, by name.
        unreadable: Events of which something could not be read.

    Args:
        new_session: Makes what is said on the next socket.
    """

    def __init__(
        self, venue: Venue, setup: StreamSetup, new_session: Callable[[], PrivateSession]
    ) -> None:
        self.unknown: Counter[str] = Counter()
        self.unreadable = 0
        self._venue = venue
        self._setup = setup
        self._new_session = new_session
        self._deliver: Callable[[StreamEvent], None] = lambda _: None
        self._condition = StreamCondition.DISCONNECTED
        self._since_ms = 0
        self._connected_ms = 0
        self._last_read_ms = 0
        self._last_event_ms = 0
        self._events = 0
        self._events_at_connection = 0
        self._interruption = "start"
        self._missing_since_ms = 0
        self._distrusted = False
        self._problem = ""
        self._reported: set[str] = set()
        self._counters = FeedCounters()
        self._connection = self._make_connection(f"{venue.value}-private")

    async def run(self, deliver: Callable[[StreamEvent], None]) -> None:
        """Keep a socket subscribed until cancelled."""
        self._deliver = deliver
        try:
            await self._connection.run()
        finally:
            self._lose("stopped")
            self._deliver = lambda _: None

    @property
    def has_delivered(self) -> bool:
        """Whether an event came since it was connected."""
        return self._events > self._events_at_connection

    def reconnect(self, cause: str) -> None:
        """End the sockets and dial again, unless it is dialling; nothing that came since they were
        connected is trusted.
        """
        if self._condition is not StreamCondition.DISCONNECTED:
            self._distrusted = True
            self._connection.reconnect(cause)

    def take(self, event: UserEvent, received_ms: int) -> None:
        """Deliver *event*; where it may have said more than could be read, reconcile."""
        if not event.known:
            self._count_unknown(event.name)
        if event.problem:
            self._count_unreadable(event.problem)
        if event.name:
            self._last_event_ms = received_ms
            self._events += 1
            if self._condition is StreamCondition.CONNECTED:
                self._set(StreamCondition.PROVEN)
        for report in event.reports:
            self._deliver(report)
        if event.problem:
            self._deliver(StreamResumed(cause=event.problem, missing_since_ms=self._last_read_ms))

    def report(self, problem: str = "") -> StreamReport:
        """*problem* is another one than that of the connection."""
        return StreamReport(
            condition=self._condition,
            since_ms=self._since_ms,
            last_event_ms=self._last_event_ms,
            problem=self._problem or problem,
            reconnects=self._counters.reconnects,
            events=self._events,
        )

    def _on_read(self, received_ms: int) -> None:
        self._last_read_ms = received_ms

    def _on_connection_event(self, event: FeedEvent) -> None:
        match event:
            case ConnectionLost(cause=cause, retry_in_ms=retry_in_ms):
                self._lose(cause)
                text = "private stream of %s: %s; dialling again in %.1f s"
                _log.warning(text, self._venue.value, cause, retry_in_ms / 1000)
            case ConnectionOpened():
                self._resume()
            case ConnectionRenewed(cause=cause):
                self._renewed(cause)
            case _:
                pass  # of market data

    def _lose(self, cause: str) -> None:
        self._problem = cause
        if self._condition is StreamCondition.DISCONNECTED:
            return
        self._interruption = cause
        self._missing_since_ms = self._connected_ms if self._distrusted else self._last_read_ms
        self._set(StreamCondition.DISCONNECTED)

    def _resume(self) -> None:
        """Before the first event of a new socket, unless another one still delivers."""
        if self._condition is not StreamCondition.DISCONNECTED:
            return
        self._problem, self._distrusted = "", False
        self._set(StreamCondition.CONNECTED)
        self._connected_ms, self._events_at_connection = self._since_ms, self._events
        self._deliver(
            StreamResumed(cause=self._interruption, missing_since_ms=self._missing_since_ms)
        )
        _log.info("private stream of %s: subscribed", self._venue.value)

    def _renewed(self, cause: str) -> None:
        """The new socket is unproven, and the old one may have been dead when it was subscribed."""
        self._set(StreamCondition.CONNECTED)
        missing_since_ms = self._since_ms - OVERLAP_MS - SILENCE_MAX_MS
        self._connected_ms, self._events_at_connection = missing_since_ms, self._events
        self._deliver(StreamResumed(cause=f"renewed: {cause}", missing_since_ms=missing_since_ms))

    def _set(self, condition: StreamCondition) -> None:
        self._condition = condition
        self._since_ms = self._setup.clock.now_ms()

    def _count_unknown(self, name: str) -> None:
        if name in self.unknown or len(self.unknown) < KNOWN_PROBLEMS_MAX:
            self.unknown[name] += 1
        self._report_once("account_stream.event_unknown", "event", name)

    def _count_unreadable(self, problem: str) -> None:
        self.unreadable += 1
        self._report_once("account_stream.unreadable", "problem", problem)

    def _report_once(self, kind: str, field: str, text: str) -> None:
        if text in self._reported or len(self._reported) >= KNOWN_PROBLEMS_MAX:
            return
        self._reported.add(text)
        self._setup.report(kind, {"venue": self._venue.value, field: text})

    def _make_connection(self, name: str) -> ManagedConnection[_NoFrames]:
        setup = ManagedConnectionSetup(
            policy=structs.replace(self._setup.policy, retries_max=_FOR_EVER),
            renew_after_ms=self._setup.renew_after_ms,
            clock=self._setup.clock,
            gate=self._setup.gate,
            draw=self._setup.draw,
            counters=self._counters,
            listener=self._on_connection_event,
            make_socket=self._make_socket,
            private=True,
        )
        plan = SocketPlan(name, self._venue, url="", streams=())
        return ManagedConnection(plan, (), setup, _NoFrames, lambda _: _never_used)

    def _make_socket(
        self,
        plan: SocketPlan,
        _: FrameSink,
        on_ready: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> PrivateSocket:
        def ready() -> None:
            # At once: an event may follow in the same read.
            self._resume()
            on_ready()

        return PrivateSocket(
            plan.name,
            self._new_session(),
            clock=self._setup.clock,
            gate=self._setup.gate,
            on_read=self._on_read,
            on_ready=ready,
            on_shutdown=on_shutdown,
        )


def _never_used(_: bytes, __: int) -> bool:
    return True
