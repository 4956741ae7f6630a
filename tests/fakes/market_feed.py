"""A market feed that plays the quotes of a test."""

from collections.abc import Mapping, Sequence

import anyio

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import FeedCounters


class ScriptedMarketFeed:
    """Implements `domain.ports.market_feed.MarketFeed`; `receive` acts as the exchange."""

    def __init__(self, venue: Venue, *, every_update: bool = False) -> None:
        """Args: every_update: Keep each quote (window 0), not only the newest of each stream."""
        self._venue = venue
        self._every_update = every_update
        self._counters = FeedCounters()
        self._quotes: list[Quote] = []
        self._updated = anyio.Event()
        self.instruments: tuple[InstrumentId, ...] | None = None
        self.subscribed = anyio.Event()
        self.reconnect_calls: list[tuple[str, str]] = []
        self.renew_calls: list[tuple[str, str]] = []
        self.seeds: dict[InstrumentId, int] = {}

    @property
    def venue(self) -> Venue:
        return self._venue

    @property
    def counters(self) -> FeedCounters:
        return self._counters

    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        """Set `instruments` and `subscribed` until cancelled; `select` changes the former."""
        self.instruments = tuple(instruments)
        self.subscribed.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.instruments = None
            self.subscribed = anyio.Event()

    def select(self, instruments: Sequence[InstrumentId]) -> None:
        """Forget the quotes of instruments that are not selected any more."""
        assert self.instruments is not None, "`select` is called while `run` runs"
        self.instruments = tuple(instruments)
        kept = [quote for quote in self._quotes if quote.instrument in self.instruments]
        self._counters.drop("unsubscribed", len(self._quotes) - len(kept))
        self._quotes = kept

    def receive(self, quote: Quote) -> None:
        self._counters.messages += 1
        if not self._every_update:
            stream = (quote.instrument, quote.source)
            kept = [held for held in self._quotes if (held.instrument, held.source) != stream]
            self._counters.conflated += len(self._quotes) - len(kept)
            self._quotes = kept
        self._quotes.append(quote)
        self._updated.set()

    async def wait_for_update(self) -> None:
        await self._updated.wait()

    def drain(self, *, unfinished: bool = False) -> list[Quote]:  # noqa: ARG002 (no windows here)
        quotes, self._quotes = self._quotes, []
        self._updated = anyio.Event()
        self._counters.drained += len(quotes)
        return quotes

    def seed(self, last_ts: Mapping[InstrumentId, int], term: int | None) -> None:  # noqa: ARG002
        self.seeds.update(last_ts)

    def last_message_ms(self) -> dict[str, int]:
        return {}

    def reconnect(self, connection: str, cause: str) -> None:
        self.reconnect_calls.append((connection, cause))

    def renew(self, connection: str, cause: str) -> None:
        self.renew_calls.append((connection, cause))

    def report(self) -> FeedReport:
        """One connection, delivering while `run` runs."""
        running = self.instruments is not None
        return FeedReport(
            instruments=len(self.instruments) if self.instruments is not None else None,
            unlisted=(),
            connections=1,
            delivering=int(running),
            fatal=False,
        )
