"""A venue's market data: as many connections as its streams need, while the selection changes."""

from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.endpoints import market_stream_url
from chimera_s1.adapters.binance.streams.book_frames import BookFrames, BookStream
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.managed_connection import (
    ManagedConnection,
    ManagedConnectionSetup,
)
from chimera_s1.adapters.binance.streams.market_socket import (
    FrameSink,
    MarketSocket,
    SocketPlan,
)
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.adapters.binance.streams.stream_placement import PlacementChange, StreamPlacement
from chimera_s1.adapters.binance.streams.window_drain import WindowDrain
from chimera_s1.domain.identifiers import Channel, InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    FatalEnded,
    FeedCounters,
    FeedListener,
    StreamsChanged,
)
from chimera_s1.domain.ports.trading_sessions import ALWAYS_OPEN, TradingSessions

RENEW_AFTER_MS = 23 * 3_600_000


class FeedPlan(Struct, frozen=True):
    """Attributes:
    ws_url: Base URL without a trailing slash.

    channels: Book streams of each instrument, at least one.

    window: 0 keeps every update.

    streams_per_connection: 1 to 1024.

    renew_after_ms: Age at which a socket is renewed; Binance cuts at 24 h.

    egress: How connections get to the exchange.
    """

    venue: Venue
    ws_url: str
    channels: tuple[Channel, ...]
    window: WindowMs
    streams_per_connection: int
    policy: ReconnectPolicy
    renew_after_ms: int = RENEW_AFTER_MS
    egress: Egress = DIRECT


class _Connection(Struct, frozen=True):
    """*scope* ends it."""

    managed: ManagedConnection[BookFrames]
    scope: anyio.CancelScope

    async def run(self) -> None:
        with self.scope:
            await self.managed.run()


class BinanceMarketFeed:
    """Implements `domain.ports.market_feed.MarketFeed` on Binance's combined streams.

    Args:
        gate: Of this venue; shared by everything that dials it.
        draw: Uniform in [0, 1), for jitter.
        clock_offset: Exchange minus local clock now; None while it is not known.
        listener: Called on each change of a connection.
        pacer: Shared by all feeds; the caller runs it. None reads at once.
        record: Called with each data message (bytes, receive ms) that was kept.
        on_clock_suspect: Called after a drain with event times that did not fit the offset.
        sessions: A socket whose markets are all closed is not given up for its silence.
    """

    def __init__(
        self,
        plan: FeedPlan,
        *,
        clock: Clock,
        gate: DialGate,
        draw: Callable[[], float],
        clock_offset: Callable[[], ClockOffset | None],
        listener: FeedListener,
        pacer: ReadPacer | None = None,
        record: Callable[[bytes, int], None] | None = None,
        on_clock_suspect: Callable[[], None] = lambda: None,
        sessions: TradingSessions = ALWAYS_OPEN,
    ) -> None:
        self._plan = plan
        self._sessions = sessions
        self._clock = clock
        self._gate = gate
        self._pacer = pacer or ReadPacer(clock, interval_ms=0)
        self._draw = draw
        self._listener = listener
        self._record = record
        self._counters = FeedCounters()
        self._streams: dict[str, BookStream] = {}
        self._placement = StreamPlacement(plan.venue.value, plan.streams_per_connection)
        self._connections: dict[str, _Connection] = {}
        self._tasks: TaskGroup | None = None
        self._instruments: int | None = None
        self._update_event = anyio.Event()
        self._windows = WindowDrain(
            plan.venue,
            plan.window,
            self._counters,
            clock=clock,
            clock_offset=clock_offset,
            listener=listener,
            on_clock_suspect=on_clock_suspect,
        )

    @property
    def venue(self) -> Venue:
        return self._plan.venue

    @property
    def counters(self) -> FeedCounters:
        return self._counters

    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                self.select(instruments)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def select(self, instruments: Sequence[InstrumentId]) -> None:
        streams = [BookStream(i, channel) for i in instruments for channel in self._plan.channels]
        before, kept = self._streams, {stream.name for stream in streams}
        self._streams = {each.name: before.get(each.name, each) for each in streams}
        self._windows.serve(tuple(self._streams.values()))
        self._instruments = len(instruments)
        changes = self._placement.select(list(self._streams))
        for name, change in changes.items():
            self._change_connection(name, change, before)
        self._counters.forget_streams(
            stream.key for name, stream in before.items() if name not in kept
        )

    async def wait_for_update(self) -> None:
        await self._update_event.wait()

    def drain(self, *, unfinished: bool = False) -> list[Quote]:
        if self._update_event.is_set():
            self._update_event = anyio.Event()
        frames = [
            frames
            for connection in self._connections.values()
            for frames in connection.managed.frames_to_drain()
        ]
        return self._windows.drain(frames, unfinished=unfinished)

    def seed(self, last_ts: Mapping[InstrumentId, int], term: int | None) -> None:
        self._windows.seed(last_ts, term)

    def last_message_ms(self) -> dict[str, int]:
        return {
            name: connection.managed.last_message_ms
            for name, connection in self._connections.items()
            if connection.managed.last_message_ms
        }

    def reconnect(self, connection: str, cause: str) -> None:
        if connection in self._connections:
            self._connections[connection].managed.reconnect(cause)

    def renew(self, connection: str, cause: str) -> None:
        if connection in self._connections:
            self._connections[connection].managed.renew(cause)

    def report(self) -> FeedReport:
        managed = [connection.managed for connection in self._connections.values()]
        return FeedReport(
            instruments=self._instruments,
            unlisted=(),
            connections=len(self._connections),
            delivering=sum(connection.delivering for connection in managed),
            fatal=any(connection.state.fatal for connection in managed),
            dial_wait_ms=self._gate.wait_ms(),
        )

    @property
    def _every_update(self) -> bool:
        return self._plan.window == 0

    def _change_connection(
        self, name: str, change: PlacementChange, before: Mapping[str, BookStream]
    ) -> None:
        names = self._placement.connections.get(name, ())
        keys = tuple(self._streams[each].key for each in names)
        connection = self._connections.get(name)
        if connection is None:
            self._open_connection(name, names, keys)
            return
        add = [self._streams[each] for each in change.add]
        remove = [before[each] for each in change.remove]
        for frames in connection.managed.change_streams(
            keys, names, add=change.add, remove=change.remove
        ):
            frames.change(add, remove)
        if not names:
            self._close_connection(name)
        self._listener(StreamsChanged(name, self.venue, keys))

    def _open_connection(
        self, name: str, names: tuple[str, ...], keys: tuple[StreamKey, ...]
    ) -> None:
        assert self._tasks is not None, "`select` is called while `run` runs"
        url = market_stream_url(self.venue, self._plan.ws_url)
        plan = SocketPlan(name, self.venue, url, names, self._plan.egress)
        connection = _Connection(self._make_connection(plan, keys), anyio.CancelScope())
        self._connections[name] = connection
        self._tasks.start_soon(connection.run)

    def _close_connection(self, name: str) -> None:
        connection = self._connections.pop(name)
        connection.scope.cancel()
        self._counters.forget_connection(name)
        if connection.managed.state.fatal:
            self._listener(FatalEnded(name, self.venue))

    def _make_connection(
        self, plan: SocketPlan, keys: tuple[StreamKey, ...]
    ) -> ManagedConnection[BookFrames]:
        setup = ManagedConnectionSetup(
            policy=self._plan.policy,
            renew_after_ms=self._plan.renew_after_ms,
            clock=self._clock,
            gate=self._gate,
            draw=self._draw,
            counters=self._counters,
            listener=self._listener,
            make_socket=self._make_socket,
        )

        def new_frames() -> BookFrames:
            carried = [self._streams[name] for name in self._placement.connections[plan.name]]
            return BookFrames(carried, self._counters, window=self._plan.window)

        return ManagedConnection(plan, keys, setup, new_frames, self._frame_sink)

    def _frame_sink(self, frames: BookFrames) -> FrameSink:
        """The function that puts a message into *frames*; unused options cost nothing."""
        if self._record is None and not self._every_update:
            return frames.put
        record = self._record

        def put(payload: bytes, received_ms: int) -> bool:
            if not frames.put(payload, received_ms):
                return False
            if record is not None:
                record(payload, received_ms)
            self._update_event.set()
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
            may_be_silent=lambda: self._is_closed(plan.name),
        )

    def _is_closed(self, connection: str) -> bool:
        """Whether no market on *connection* is open."""
        now_ms = self._clock.now_ms()
        return not any(
            self._sessions.is_open(self._streams[name].instrument, now_ms)
            for name in self._placement.connections.get(connection, ())
        )
