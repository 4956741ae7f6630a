"""Publish quotes: at each window's end, what the feeds hold goes onto the streams.

The socket never waits for this. A store slower than the window merges windows: the feeds keep the
newest frame of each stream meanwhile. A store that is away leaves the newest quote of each stream
waiting here, offered again with each window until it is too old to be called fresh.
"""

import logging
from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.health import StreamStoreReport
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.quote_publisher import QuotePublisher

FRESH_MS = 5_000
"""A quote that waited longer than this since its receipt is not published any more."""

PING_AFTER_MS = 1_000

_log = logging.getLogger(__name__)


class PublishingCounters(Struct):
    """What publishing has counted; only `PublishQuotes` writes.

    Attributes:
        windows: Windows closed.

        windows_merged: Windows that closed while an earlier one was being written.

        superseded: Waiting quotes replaced by a newer one of their stream.

        expired: Waiting quotes dropped because they were no longer fresh.
    """

    windows: int = 0
    windows_merged: int = 0
    superseded: int = 0
    expired: int = 0


class _PendingQuote(Struct, frozen=True):
    """A quote the store has not taken, and until when it is fresh, monotonic ms: a wall clock that
    steps makes nothing younger.
    """

    quote: Quote
    fresh_until_ms: float


class PublishQuotes:
    """The way from the feeds to the streams.

    Args:
        feeds: Where quotes come from.

        publisher: Where they go.

        board: Shown what was handed to the publisher.

        clock: Time and waiting.

        window: Width of a window; 0 publishes every update as it comes.

        observe_latency: Told the ms from a window's end (window 0: a quote's receipt) to the
            acknowledgement of its batch.

        watchers: Shown the quotes as they are drained.
    """

    def __init__(
        self,
        feeds: Sequence[MarketFeed],
        publisher: QuotePublisher,
        board: QuoteBoard,
        *,
        clock: Clock,
        window: WindowMs,
        observe_latency: Callable[[float], None],
        watchers: Sequence[Callable[[Sequence[Quote]], None]] = (),
    ) -> None:
        self._feeds = tuple(feeds)
        self._publisher = publisher
        self._board = board
        self._clock = clock
        self._window = window
        self._observe_latency = observe_latency
        self._watchers = tuple(watchers)
        self._pending: dict[StreamKey, _PendingQuote] = {}
        self._offered: dict[StreamKey, _PendingQuote] = {}
        self._publish_lock = anyio.Lock()
        self._store_answered_ms = clock.monotonic_ms()
        self._cause = "no write yet"
        self._merging = False
        self.counters = PublishingCounters()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_store)
            if self._window == 0:
                for feed in self._feeds:
                    tasks.start_soon(self._publish_updates, feed)
            else:
                tasks.start_soon(self._publish_windows)

    async def flush(self) -> None:
        """Publish what the feeds hold now; the last act before the sockets close."""
        await self._publish(self._feeds)

    def report(self) -> StreamStoreReport:
        """Whether quotes reach their streams."""
        return StreamStoreReport(
            reachable=not self._cause,
            pending=len(self._pending),
            merging_windows=self._merging,
            cause=self._cause,
        )

    async def _publish_windows(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            left_ms: float = window_end(now_ms, self._window) - now_ms
            # From here on by the monotonic clock: a wall clock that steps makes no window late.
            closed_ms = self._clock.monotonic_ms() + left_ms
            while left_ms > 0:
                # More than once where the loop counts whole ms (uvloop) and wakes up early: a
                # window that closes before its end would close twice.
                await self._clock.sleep_ms(left_ms)
                left_ms = closed_ms - self._clock.monotonic_ms()
            self.counters.windows += 1
            await self._publish(self._feeds, closed_ms)
            late = int((self._clock.monotonic_ms() - closed_ms) // self._window)
            self._merging = late > 0
            self.counters.windows_merged += late

    async def _publish_updates(self, feed: MarketFeed) -> None:
        while True:
            await feed.wait_for_update()
            if not await self._publish([feed]):
                # What came was no quote: let the socket be read before looking again.
                await anyio.lowlevel.checkpoint()

    async def _publish(self, feeds: Sequence[MarketFeed], since_ms: float | None = None) -> bool:
        """Publish what *feeds* hold and what still waits; False where that is nothing.

        Args:
            feeds: Drained in this turn, not before it: a quote that is taken is published, whoever
                is cancelled while waiting for the turn.

            since_ms: When their window closed, monotonic ms; None for the oldest quote's receipt.
        """
        async with self._publish_lock:
            quotes = [quote for feed in feeds for quote in feed.drain()]
            for watch in self._watchers:
                watch(quotes)
            if since_ms is None:
                since_ms = self._receipt_ms(quotes)
            batch = self._with_pending(quotes)
            if not batch:
                return False
            self._board.post(batch)
            # Bounded by the port. Cut off halfway, nobody would know what was written.
            with anyio.CancelScope(shield=True):
                report = await self._publisher.publish(batch)
            self._keep_unpublished(batch, report.unpublished)
            if report.published:
                self._observe_latency(self._clock.monotonic_ms() - since_ms)
            self._record_store_state(report.cause if not report.published else "")
            return True

    def _receipt_ms(self, quotes: Sequence[Quote]) -> float:
        """When the oldest of *quotes* was received, monotonic ms; now where there is none."""
        now_ms = self._clock.now_ms()
        age_ms = now_ms - min((quote.received_ms for quote in quotes), default=now_ms)
        return self._clock.monotonic_ms() - max(0, age_ms)

    def _keep_unpublished(self, batch: Sequence[Quote], unpublished: Sequence[Quote]) -> None:
        """Let those of *unpublished* wait that nothing newer in *batch* has replaced."""
        newest = {(quote.instrument, quote.source): quote for quote in batch}
        for quote in unpublished:
            key = quote.instrument, quote.source
            if newest.get(key, quote) is quote:
                offered = self._offered.get(key)
                again = offered is not None and offered.quote is quote
                self._pending[key] = offered if offered and again else self._pending_from_now(quote)
            else:
                self.counters.superseded += 1

    def _pending_from_now(self, quote: Quote) -> _PendingQuote:
        age_ms = max(0, self._clock.now_ms() - quote.received_ms)
        return _PendingQuote(quote, self._clock.monotonic_ms() + FRESH_MS - age_ms)

    def _with_pending(self, quotes: list[Quote]) -> list[Quote]:
        """*quotes* behind those that still wait, are fresh and have no successor among them."""
        self._offered = {}
        if not self._pending:
            return quotes
        newer = {(quote.instrument, quote.source) for quote in quotes}
        now_ms = self._clock.monotonic_ms()
        for key, waiting in self._pending.items():
            if key in newer:
                self.counters.superseded += 1
            elif waiting.fresh_until_ms < now_ms:
                self.counters.expired += 1
            else:
                self._offered[key] = waiting
        self._pending = {}
        return [waiting.quote for waiting in self._offered.values()] + quotes

    async def _watch_store(self) -> None:
        """Ask the store when a calm market does not: silence must not look like health."""
        while True:
            await self._clock.sleep_ms(PING_AFTER_MS)
            if self._pending and self._window == 0:
                # No window closes here, and the market may stay calm.
                await self._publish(())
            if self._clock.monotonic_ms() - self._store_answered_ms >= PING_AFTER_MS or self._cause:
                self._record_store_state(await self._publisher.ping())

    def _record_store_state(self, cause: str) -> None:
        if not cause:
            self._store_answered_ms = self._clock.monotonic_ms()
        if bool(cause) != bool(self._cause):
            if cause:
                _log.error("Redis does not accept writes: %s", cause)
            else:
                _log.info("Redis accepts writes")
        self._cause = cause
