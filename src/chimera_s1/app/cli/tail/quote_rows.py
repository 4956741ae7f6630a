"""Reads the rows of `tail`: the newest quote of each instrument, and its state."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.app.cli.tail.table import Row, row_of
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.market.instrument_selection import SymbolFilter
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_reader import PublishedQuote
from chimera_s1_client.cluster_streams import RedisUnavailableError
from chimera_s1_client.quote import VENUES, Instrument
from chimera_s1_client.quote_reader import ReaderOptions
from chimera_s1_client.status_reader import StatusReader

TIMEOUT_S = 5.0


class QuoteRows:
    """Attributes:
    trouble: Why no quote, or no state, could be read the last time; empty if both were.
    """

    def __init__(self, client: ClusterClient, symbol_filter: SymbolFilter, clock: Clock) -> None:
        self.trouble = ""
        self._quotes = RedisQuoteReader(client)
        self._symbol_filter = symbol_filter
        self._streams = _StatusStreams(client)
        self._status = StatusReader(VENUES, ReaderOptions().silent_after_s, clock.now_ms)
        self._entry_ids: dict[str, str] = {}
        self._clock = clock

    async def read(self) -> Sequence[Row]:
        """Raises `PublisherUnavailableError`: Redis has no quotes to give now."""
        quotes = await self._newest()
        await self._read_status()
        return [row_of(each, self._state(each), self._clock.now_ms()) for each in quotes]

    async def read_or_explain(self) -> Sequence[Row]:
        """As `read`, but no rows, and `trouble`, where Redis has none to give: it may come back."""
        try:
            return await self.read()
        except PublisherUnavailableError as error:
            self.trouble = f"{error}; retrying"
            return ()

    async def _newest(self) -> Sequence[PublishedQuote]:
        if self._symbol_filter.every:
            return await self._quotes.newest(await self._quotes.instruments())
        return await self._quotes.newest(sorted(self._symbol_filter.named))

    async def _read_status(self) -> None:
        try:
            await self._status.read(self._streams)
        except RedisUnavailableError as error:
            self.trouble = f"the states may be old: {error}"
        else:
            self.trouble = ""

    def _state(self, quote: PublishedQuote) -> str:
        name, ts = str(quote.instrument), int(dict(quote.fields)["ts"])
        instrument = Instrument.parse(name)
        known = self._entry_ids.get(name)
        if quote.entry_id != known:
            self._entry_ids[name] = quote.entry_id
            self._status.hear(instrument.venue, quote.entry_id, first=known is None)
        return self._status.condition(instrument, ts).state


class _StatusStreams:
    """The command's own client, as `StatusReader` uses it: same login, same certificates."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    async def read(
        self, commands: Sequence[tuple[str | int, ...]]
    ) -> list[list[tuple[str, Mapping[str, str]]] | RedisUnavailableError]:
        try:
            with self._client.translate_errors(), anyio.fail_after(TIMEOUT_S):
                pipeline = self._client.pipeline()
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except PublisherUnavailableError as error:
            raise RedisUnavailableError(str(error)) from error
        return [
            RedisUnavailableError(str(reply)) if isinstance(reply, Exception) else reply
            for reply in replies
        ]
