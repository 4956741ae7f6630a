"""Publish quotes to Redis at the end of each conflation window.

Sockets never wait for Redis. While Redis is slower than the window, windows are merged: the feeds
keep the newest frame of each stream. While Redis is unavailable, the newest quote of each stream
stays pending here and is retried with each window until it is too old.
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
"""Older quotes, by their receive time, are not published."""

PING_AFTER_MS = 1_000

_log = logging.getLogger(__name__)


class PublishingCounters(Struct):
    """Written by `PublishQuotes` only; see `publishing_source` for their meaning."""

    windows: int = 0
    windows_merged: int = 0
    superseded: int = 0
    expired: int = 0


class _PendingQuote(Struct, frozen=True):
    """A quote that Redis has not acknowledged. *fresh_until_ms* is monotonic, so that a step of the
    wall clock does not extend it.
    """

    quote: Quote
    fresh_until_ms: float


class PublishQuotes:
    """Publishes the quotes of all feeds.

    Args:
        board: Gets every quote that is passed to *publisher*.
        window: 0 publishes every update at once.
        observe_latency: Called with the ms from the end of a window (window 0: from the receipt of
            its oldest quote) to the acknowledgement of its batch.
        observe_acknowledged: Called with the quotes of a batch that were acknowledged just now.
        watchers: Called with the quotes of each drain.
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
        observe_acknowledged: Callable[[Sequence[Quote]], None] = lambda _: None,
        watchers: Sequence[Callable[[Sequence[Quote]], None]] = (),
    ) -> None:
        self._feeds = tuple(feeds)
        self._publisher = publisher
        self._board = board
        self._clock = clock
        self._window = window
        self._observe_latency = observe_latency
        self._observe_acknowledged = observe_acknowledged
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
        """Publish the quotes that the feeds hold now."""
        await self._publish(self._feeds)

    def report(self) -> StreamStoreReport:
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
            # Monotonic from here on: a step of the wall clock must not make a window late.
            closed_ms = self._clock.monotonic_ms() + left_ms
            while left_ms > 0:
                # uvloop rounds to whole ms and may wake up early; the window would close twice.
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
                # No valid quote: let the socket be read before the next drain.
                await anyio.lowlevel.checkpoint()

    async def _publish(self, feeds: Sequence[MarketFeed], since_ms: float | None = None) -> bool:
        """Publish the quotes of *feeds* and the pending ones; False if there are none.

        *since_ms* is the end of the window, monotonic; None: the receipt of the oldest quote.
        """
        async with self._publish_lock:
            # Drained under the lock: a task cancelled while it waits for the lock loses no quote.
            quotes = [quote for feed in feeds for quote in feed.drain(unfinished=since_ms is None)]
            for watch in self._watchers:
                watch(quotes)
            if since_ms is None:
                since_ms = self._receipt_ms(quotes)
            batch = self._with_pending(quotes)
            if not batch:
                return False
            self._board.post(batch)
            # The port limits the time. Cancelled halfway, it would be unknown what was written.
            with anyio.CancelScope(shield=True):
                report = await self._publisher.publish(batch)
            self._keep_unpublished(batch, report.unpublished)
            if report.published:
                self._observe_latency(self._clock.monotonic_ms() - since_ms)
                self._observe_acknowledged(_without(batch, report.unpublished))
            self._record_store_state(report.cause if not report.published else "")
            return True

    def _receipt_ms(self, quotes: Sequence[Quote]) -> float:
        """Receive time of the oldest of *quotes*, monotonic ms; now if there are none."""
        now_ms = self._clock.now_ms()
        age_ms = now_ms - min((quote.received_ms for quote in quotes), default=now_ms)
        return self._clock.monotonic_ms() - max(0, age_ms)

    def _keep_unpublished(self, batch: Sequence[Quote], unpublished: Sequence[Quote]) -> None:
        """Make *unpublished* quotes pending unless *batch* holds a newer one of their stream."""
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
        """The pending quotes that are fresh and not superseded by *quotes*, then *quotes*."""
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
        """Ping Redis when no write has shown that it works."""
        while True:
            await self._clock.sleep_ms(PING_AFTER_MS)
            if self._pending and self._window == 0:
                # With window 0 only an update publishes, and the market may be calm.
                await self._publish(())
            if self._clock.monotonic_ms() - self._store_answered_ms >= PING_AFTER_MS or self._cause:
                self._record_store_state(await self._publisher.ping())

    def _record_store_state(self, cause: str) -> None:
        if not cause:
            self._store_answered_ms = self._clock.monotonic_ms()
        if bool(cause) != bool(self._cause):
            if cause:
                _log.error(
                    "Redis does not accept quotes: %s; the newest of each stream is kept and "
                    "retried: check the cluster",
                    cause,
                )
            else:
                _log.info("Redis accepts quotes")
        self._cause = cause


def _without(batch: Sequence[Quote], unpublished: Sequence[Quote]) -> Sequence[Quote]:
    if not unpublished:
        return batch
    left_out = set(map(id, unpublished))
    return [quote for quote in batch if id(quote) not in left_out]
