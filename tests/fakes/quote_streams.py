"""Quote streams in memory, with a publisher and a reader."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import entry_id
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport
from chimera_s1.domain.ports.quote_reader import PublishedQuote

UNAVAILABLE = "quote streams unavailable"
MEMORY_NODE = "memory"


class MemoryQuoteStreams:
    """Publishing fails and reading raises while `unavailable` is set; while `acknowledgements_lost`
    is set, quotes are written and reported unpublished.
    """

    def __init__(self, *, maxlen: int) -> None:
        """Args: maxlen: Exact length of each stream."""
        self.unavailable = False
        self.acknowledgements_lost = False
        self._maxlen = maxlen
        self._streams: dict[InstrumentId, deque[PublishedQuote]] = {}

    def append(self, quote: Quote, written_as: EntryId) -> bool:
        """False if the stream holds an id that is not below *written_as*."""
        stream = self._streams.setdefault(quote.instrument, deque(maxlen=self._maxlen))
        if stream and written_as <= EntryId.parse(stream[-1].entry_id):
            return False
        stream.append(PublishedQuote(str(written_as), quote.instrument, quote_fields(quote)))
        return True

    def instruments(self) -> tuple[InstrumentId, ...]:
        return tuple(sorted(self._streams))

    def entries(self, instrument: InstrumentId) -> tuple[PublishedQuote, ...]:
        """Oldest first."""
        return tuple(self._streams.get(instrument, ()))


class MemoryQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher`."""

    def __init__(self, streams: MemoryQuoteStreams, window: WindowMs) -> None:
        self._streams = streams
        self._window = window
        self._unanswered: set[Quote] = set()
        self._counters = PublisherCounters()

    @property
    def counters(self) -> PublisherCounters:
        return self._counters

    @property
    def routing_version(self) -> int:
        return 0

    def nodes(self) -> tuple[str, ...]:
        return (MEMORY_NODE,)

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        return {MEMORY_NODE: quotes} if quotes else {}

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        """It keeps nothing about a stream."""

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        await checkpoint()
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        if self._streams.unavailable:
            self._counters.failures += 1
            return PublishReport(published=0, unpublished=tuple(quotes), cause=UNAVAILABLE)
        refused = [quote for quote in quotes if not self._append(quote)]
        already_there = [quote for quote in refused if quote in self._unanswered]
        refused = [quote for quote in refused if quote not in self._unanswered]
        self._counters.already_there += len(already_there)
        self._counters.refused += len(refused)
        if self._streams.acknowledgements_lost:
            self._counters.failures += 1
            self._unanswered.update(quotes)
            return PublishReport(published=0, unpublished=tuple(quotes), cause=UNAVAILABLE)
        self._counters.published += len(quotes) - len(refused)
        return PublishReport(published=len(quotes) - len(refused), refused=tuple(refused))

    def _append(self, quote: Quote) -> bool:
        return self._streams.append(quote, entry_id(quote, self._window))

    async def ping(self, node: str) -> str:  # noqa: ARG002 (there is only one)
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

    async def last_entries(
        self, instruments: Collection[InstrumentId]
    ) -> dict[InstrumentId, PublishedQuote | None]:
        await checkpoint()
        if self._streams.unavailable:
            return {}
        return {each: next(iter(self._streams.entries(each)[-1:]), None) for each in instruments}

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        await self._check_available()
        return self._streams.entries(instrument)[-count:] if count > 0 else ()

    async def _check_available(self) -> None:
        await checkpoint()
        if self._streams.unavailable:
            raise PublisherUnavailableError(UNAVAILABLE)
