"""A liveness watch over in-memory ports, and a scripted market."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.ports.exchange_information import TopOfBook
from chimera_s1.domain.ports.market_feed import ConnectionLost, ConnectionOpened
from chimera_s1.domain.ports.trading_sessions import ALWAYS_OPEN, TradingSessions
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.market_status import MemoryMarketStatus
from tests.time_limits import TIMEOUT_S

BTC, ETH = (
    (InstrumentId(Venue.PERP, Symbol(name)), "binance.perp.bookTicker")
    for name in ("BTCUSDT", "ETHUSDT")
)
KEYS = (BTC, ETH)
START = 1_772_514_460_000
FAR_AHEAD = 2**62
SAME = TopOfBook(100.0, 1.0, 100.5, 2.0, FAR_AHEAD)
OTHER = TopOfBook(101.0, 1.0, 101.5, 2.0, FAR_AHEAD)


class Feed(ScriptedMarketFeed):
    """A feed that loses a connection when asked to reconnect it, as a real one does."""

    watch: WatchLiveness

    def reconnect(self, connection: str, cause: str) -> None:
        super().reconnect(connection, cause)
        self.watch.on_feed_event(ConnectionLost(connection, self.venue, KEYS, cause, 1, 500.0))


class SlowExchange(MemoryExchangeInformation):
    """A venue that answers when the test lets it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.questions: list[InstrumentId] = []
        self.answers = anyio.Event()
        self.answers.set()
        self.refused: dict[InstrumentId, ChimeraError] = {}

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        self.questions.append(instrument)
        await self.answers.wait()
        if instrument in self.refused:
            raise self.refused[instrument]
        return await super().top_of_book(instrument)


class Rig:
    """Everything around one watch, and what a market does to it."""

    def __init__(self, sessions: TradingSessions = ALWAYS_OPEN) -> None:
        self.clock = ManualClock(START)
        self.feed = Feed(Venue.PERP)
        self.status = MemoryMarketStatus()
        self.exchange = SlowExchange(self.clock)
        self.exchange.book_tops = {key[0]: SAME for key in KEYS}
        probes = ProbeBooks(self.exchange, self.clock)
        self.gone: dict[InstrumentId, str] = {}
        self.changed: list[InstrumentId] = []
        self.watch = WatchLiveness(
            Venue.PERP,
            self.status,
            probes,
            self.clock,
            sessions=sessions,
            on_gone=self.gone.__setitem__,
            on_status=self.changed.append,
        )
        self.feed.watch = self.watch

    def opened(self) -> None:
        self.watch.on_feed_event(ConnectionOpened("perp-0", Venue.PERP, KEYS))

    def lost(self, cause: str = "cut") -> None:
        self.watch.on_feed_event(ConnectionLost("perp-0", Venue.PERP, KEYS, cause, 1, 500.0))

    def deliver(self, *keys: StreamKey) -> None:
        now_ms = self.clock.now_ms()
        self.watch.observe(
            Quote(key[0], now_ms, 100.0, 1.0, 100.5, 2.0, key[1], now_ms, now_ms) for key in keys
        )

    async def busy(
        self, duration_ms: int, keys: Sequence[StreamKey] = KEYS, every_ms: int = 100
    ) -> None:
        """Each of *keys* gets an update every *every_ms*."""
        for _ in range(duration_ms // every_ms):
            await self.clock.advance(every_ms)
            self.deliver(*keys)

    async def long(self, duration_ms: int, keys: Sequence[StreamKey] = KEYS) -> None:
        """Each of *keys* gets an update every second."""
        await self.busy(duration_ms, keys, every_ms=1_000)

    @property
    def changes(self) -> list[StatusChange]:
        """Without the first entry of the connection, which says that nothing is wrong with it."""
        found = [change for _, change in self.status.changes]
        shared = [each for each in found if each.symbol == WHOLE_CONNECTION]
        if shared and shared[0].state is Liveness.LIVE:
            found.remove(shared[0])
        return found

    @property
    def states(self) -> list[tuple[str, Liveness]]:
        return [(change.symbol, change.state) for change in self.changes]

    @property
    def times(self) -> list[tuple[int, str, Liveness, int]]:
        """When it was found, whose, what, and since when; ms from the start."""
        return [(c.ts - START, c.symbol, c.state, c.since - START) for c in self.changes]


@asynccontextmanager
async def watching(rig: Rig | None = None) -> AsyncIterator[Rig]:
    """A running watch over two streams that have delivered for 5 s."""
    rig = rig or Rig()
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.watch.run, rig.feed)
            await settle()
            rig.opened()
            rig.deliver(*KEYS)
            await rig.busy(5_000)
            yield rig
            tasks.cancel_scope.cancel()
