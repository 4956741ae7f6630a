"""Reads quotes from their streams."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES
from chimera_s1.adapters.redis.keys import quote_pattern, quote_stream, quoted_instrument
from chimera_s1.adapters.redis.quote_entry import decode_quote
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.quote_reader import PublishedQuote

TIMEOUT_S = 5.0
_SCAN_COUNT = 1000
_CHUNK_SIZE = 500


class RedisQuoteReader:
    """Implements `domain.ports.quote_reader.QuoteReader`."""

    def __init__(self, client: ClusterClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()

    async def instruments(self) -> tuple[InstrumentId, ...]:
        found: set[InstrumentId] = set()
        async with self._exclusive():
            for venue in Venue:
                names = self._client.scan_iter(
                    match=quote_pattern(venue), count=_SCAN_COUNT, _type="stream"
                )
                async for name in names:
                    instrument = quoted_instrument(name)
                    if instrument is not None:
                        found.add(instrument)
        return tuple(sorted(found))

    async def newest(self, instruments: Sequence[InstrumentId]) -> tuple[PublishedQuote, ...]:
        quotes: list[PublishedQuote] = []
        async with self._exclusive():
            for start in range(0, len(instruments), _CHUNK_SIZE):
                quotes += await self._newest(instruments[start : start + _CHUNK_SIZE])
        return tuple(quotes)

    async def last_entries(
        self, instruments: Collection[InstrumentId]
    ) -> dict[InstrumentId, PublishedQuote | None]:
        found: dict[InstrumentId, PublishedQuote | None] = {}
        async with anyio.create_task_group() as nodes:
            for part in self._by_node(instruments):
                nodes.start_soon(self._last_entries_of_node, part, found)
        return found

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        if count < 1:
            return ()
        async with self._exclusive():
            entries = await self._client.execute_command(
                "XREVRANGE", quote_stream(instrument), "+", "-", "COUNT", count
            )
        return tuple(decode_quote(instrument, entry) for entry in reversed(entries))

    def _by_node(self, instruments: Collection[InstrumentId]) -> Collection[list[InstrumentId]]:
        parts: dict[str, list[InstrumentId]] = {}
        for instrument in instruments:
            node = self._client.get_node_from_key(quote_stream(instrument))
            parts.setdefault(node.name if node else "", []).append(instrument)
        return parts.values()

    async def _last_entries_of_node(
        self,
        instruments: Sequence[InstrumentId],
        found: dict[InstrumentId, PublishedQuote | None],
    ) -> None:
        with suppress(*REDIS_FAILURES), anyio.fail_after(self._timeout_s):
            newest = {each.instrument: each for each in await self._newest(instruments)}
            found.update((each, newest.get(each)) for each in instruments)

    async def _newest(self, instruments: Sequence[InstrumentId]) -> list[PublishedQuote]:
        pipeline = self._client.pipeline()
        for instrument in instruments:
            pipeline.execute_command("XREVRANGE", quote_stream(instrument), "+", "-", "COUNT", 1)
        replies = await pipeline.execute()
        return [
            decode_quote(instrument, entry)
            for instrument, entries in zip(instruments, replies, strict=True)
            for entry in entries
        ]

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        with self._client.translate_errors(), anyio.fail_after(self._timeout_s):
            async with self._lock:
                yield
