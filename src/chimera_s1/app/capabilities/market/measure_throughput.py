"""Measure data messages per second over all feeds, published as `s1.mkt_throughput`."""

from collections.abc import Sequence

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.operations_log import OperationsLog

INTERVAL_MS = 1_000


class MeasureThroughput:
    def __init__(
        self, feeds: Sequence[MarketFeed], operations: OperationsLog, clock: Clock
    ) -> None:
        self._feeds = tuple(feeds)
        self._operations = operations
        self._clock = clock
        self.messages_per_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        counted, since_ms = self._received(), self._clock.monotonic_ms()
        while True:
            await self._clock.sleep_ms(INTERVAL_MS)
            now, now_ms = self._received(), self._clock.monotonic_ms()
            self.messages_per_s = (now - counted) * 1000 / max(1.0, now_ms - since_ms)
            counted, since_ms = now, now_ms
            try:
                await self._operations.record_throughput(self.messages_per_s)
            except REDIS_ERRORS:
                continue  # the next second writes a newer value

    def _received(self) -> int:
        return sum(feed.counters.messages for feed in self._feeds)
