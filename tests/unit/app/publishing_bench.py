"""Publishing between two feeds and a store, all in memory, with a manual clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio

from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.operations.publication_gate import PublicationGate
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.health import StreamStoreReport
from chimera_s1.domain.market.quote import Quote
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.fakes.quote_streams import MemoryQuoteStreams
from tests.sample_quotes import TS, quote
from tests.time_limits import TIMEOUT_S
from tests.unit.app.doubles import GatedPublisher

SECOND = TS // 1000 * 1000
BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
PERP = InstrumentId.parse("perp/BTCUSDT")


def stands(waiting: int, cause: str = "", *, reachable: bool | None = None) -> StreamStoreReport:
    """The report of one node while no window is merged; reachable where nothing is wrong."""
    return StreamStoreReport(
        reachable=not cause if reachable is None else reachable,
        pending=waiting,
        merging_windows=False,
        cause=cause,
        failing_nodes=int(bool(cause)),
        nodes=1,
    )


class CoarseClock(ManualClock):
    """A loop that counts whole milliseconds, as uvloop does: a sleep may end up to 1 ms early."""

    async def sleep_ms(self, duration_ms: float) -> None:
        await super().sleep_ms(duration_ms - 1 if duration_ms > 1 else duration_ms)


class ScriptedSwitch:
    """A kill switch whose position is known at once."""

    def __init__(self) -> None:
        self.changes = ChangeSignal()
        self.withholds_quotes = False

    def set(self, *, on: bool) -> None:
        self.withholds_quotes = on
        self.changes.notify()


class Bench:
    """Publishing between two feeds and a store, all in memory."""

    def __init__(
        self, window: int = 1000, clock: ManualClock | None = None, *, slow_ms: int | None = None
    ) -> None:
        self.clock = clock or ManualClock(SECOND)
        self.streams = MemoryQuoteStreams(maxlen=1_000)
        self.publisher = GatedPublisher(self.streams, WindowMs(window))
        self.board = QuoteBoard()
        self._update_ids = count(1)
        every = window == 0
        self.spot = ScriptedMarketFeed(Venue.SPOT, every_update=every)
        self.perp = ScriptedMarketFeed(Venue.PERP, every_update=every)
        self.latencies: list[float] = []
        self.switch = ScriptedSwitch()
        self.publishing = PublishQuotes(
            [self.spot, self.perp],
            self.publisher,
            self.board,
            clock=self.clock,
            window=WindowMs(window),
            admission=AdmitAll(),
            gate=PublicationGate(self.switch, self.clock, slow_ms),
            observe_latency=self.latencies.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.publishing.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()

    def offer(
        self, bid: float, instrument: InstrumentId = BTC, source: str = "binance.spot.bookTicker"
    ) -> Quote:
        """A quote arrives now."""
        made = quote(
            str(instrument),
            bid=bid,
            ts=self.clock.now_ms(),
            source=source,
            update_id=next(self._update_ids),
        )
        (self.spot if instrument.venue is Venue.SPOT else self.perp).receive(made)
        return made

    def bids(self, instrument: InstrumentId = BTC) -> list[float]:
        """What is on a stream."""
        entries = self.streams.entries(instrument)
        return [float(dict(entry.fields)["bid1"]) for entry in entries]

    def window_ends(self, instrument: InstrumentId = BTC) -> list[int]:
        """Of the entries of a stream, ms."""
        ids = [entry.entry_id for entry in self.streams.entries(instrument)]
        return [int(entry_id.partition("-")[0]) for entry_id in ids]
