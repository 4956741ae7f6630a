"""Quotes back from their streams, by the official client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import redis_errors
from chimera_s1.adapters.redis.keys import quote_pattern, quote_stream, quoted_instrument
from chimera_s1.adapters.redis.quote_codec import published_quote
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.quote_reader import PublishedQuote

PATIENCE_S = 5.0
_SCAN_COUNT = 1000
_CHUNK = 500


class RedisQuoteReader:
    """Implements `domain.ports.quote_reader.QuoteReader`."""

    def __init__(self, client: ClusterClient, *, patience_s: float = PATIENCE_S) -> None:
        """Args:
        client: Used by nobody else.

        patience_s: The longest a call may take, s.
        """
        self._client = client
        self._patience_s = patience_s
        self._one_at_a_time = anyio.Lock()

    async def instruments(self) -> tuple[InstrumentId, ...]:
        """SCAN on every master; see the port."""
        found: set[InstrumentId] = set()
        async with self._turn():
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
        """XREVRANGE of one entry a stream, pipelined; see the port."""
        quotes: list[PublishedQuote] = []
        async with self._turn():
            for start in range(0, len(instruments), _CHUNK):
                quotes += await self._newest(instruments[start : start + _CHUNK])
        return tuple(quotes)

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        """XREVRANGE, turned round; see the port."""
        if count < 1:
            return ()
        async with self._turn():
            entries = await self._client.execute_command(
                "XREVRANGE", quote_stream(instrument), "+", "-", "COUNT", count
            )
        return tuple(published_quote(instrument, entry) for entry in reversed(entries))

    async def _newest(self, instruments: Sequence[InstrumentId]) -> list[PublishedQuote]:
        pipeline = self._client.pipeline()
        for instrument in instruments:
            pipeline.execute_command("XREVRANGE", quote_stream(instrument), "+", "-", "COUNT", 1)
        replies = await pipeline.execute()
        return [
            published_quote(instrument, entry)
            for instrument, entries in zip(instruments, replies, strict=True)
            for entry in entries
        ]

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        with redis_errors(), anyio.fail_after(self._patience_s):
            async with self._one_at_a_time:
                yield
