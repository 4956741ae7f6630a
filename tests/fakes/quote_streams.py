"""Quote streams in memory, with a publisher and a reader."""

from collections import deque
from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport
from chimera_s1.domain.ports.quote_reader import PublishedQuote

UNAVAILABLE = "quote streams unavailable"


class MemoryQuoteStreams:
    """Publishing fails and reading raises while `unavailable` is set."""

    def __init__(self, clock: Clock, *, maxlen: int) -> None:
        """Args: maxlen: Exact length of each stream."""
        self.unavailable = False
        self._clock = clock
        self._maxlen = maxlen
        self._last_id = (0, 0)
        self._streams: dict[InstrumentId, deque[PublishedQuote]] = {}

    def append(self, quote: Quote) -> None:
        last_ms, last_number = self._last_id
        now_ms = max(self._clock.now_ms(), last_ms)
        self._last_id = (now_ms, last_number + 1 if now_ms == last_ms else 0)
        stream = self._streams.setdefault(quote.instrument, deque(maxlen=self._maxlen))
        stream.append(
            PublishedQuote(
                entry_id="{}-{}".format(*self._last_id),
                instrument=quote.instrument,
                fields=quote_fields(quote),
            )
        )

    def instruments(self) -> tuple[InstrumentId, ...]:
        return tuple(sorted(self._streams))

    def entries(self, instrument: InstrumentId) -> tuple[PublishedQuote, ...]:
        """Oldest first."""
        return tuple(self._streams.get(instrument, ()))


class MemoryQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher`."""

    def __init__(self, streams: MemoryQuoteStreams) -> None:
        self._streams = streams
        self._counters = PublisherCounters()

    @property
    def counters(self) -> PublisherCounters:
        return self._counters

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        await checkpoint()
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        if self._streams.unavailable:
            self._counters.failures += 1
            return PublishReport(published=0, unpublished=tuple(quotes), cause=UNAVAILABLE)
        for quote in quotes:
            self._streams.append(quote)
        self._counters.published += len(quotes)
        return PublishReport(published=len(quotes))

    async def ping(self) -> str:
        await checkpoint()
        return UNAVAILABLE if self._streams.unavailable else ""


class MemoryQuoteReader:
    """Implements `domain.ports.quote_reader.QuoteReader`."""

    def __init__(self, streams: MemoryQuoteStreams) -> None:
        self._streams = streams

    async def instruments(self) -> tuple[InstrumentId, ...]:
        await self._check_available()
        return self._streams.instruments()

    async def newest(self, instruments: Sequence[InstrumentId]) -> tuple[PublishedQuote, ...]:
        await self._check_available()
        return tuple(
            entry for instrument in instruments for entry in self._streams.entries(instrument)[-1:]
        )

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        await self._check_available()
        return self._streams.entries(instrument)[-count:] if count > 0 else ()

    async def _check_available(self) -> None:
        await checkpoint()
        if self._streams.unavailable:
            raise PublisherUnavailableError(UNAVAILABLE)
