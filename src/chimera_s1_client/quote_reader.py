"""Quotes of named instruments, each with its condition, from the streams of a Redis Cluster.

Instruments are spread over the slots, so there is one command per stream; a lane per node sends its
commands in one pipeline, so a node that is down delays no other. Reads are repeated every *poll_s*;
what a slow consumer has not taken stays in Redis until the service trims it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeAlias

from msgspec import Struct, structs

from chimera_s1_client.cluster_streams import (
    ClusterStreams,
    RedisAccess,
    RedisUnavailableError,
    parse_addresses,
)
from chimera_s1_client.errors import InvalidArgumentError
from chimera_s1_client.quote import Condition, Instrument, Quote, State, decode_quote
from chimera_s1_client.status_reader import StatusReader
from chimera_s1_client.stream_cursor import Batch, Entry, StreamCursor

COUNT = 500
"""Entries of one stream in one read."""

QUEUE_MAX = 1_000
"""Updates that wait for the consumer. Then nothing is read until it takes one."""

_SUPERSEDED = Condition(State.BEHIND, cause="a newer quote was read, or may wait to be read")
_STOPPED = Condition(
    State.BEHIND,
    cause=f"{QUEUE_MAX} updates wait to be iterated over, so nothing is read; see newest_only",
)
_RETRY_S, _RETRY_MAX_S = 0.1, 2.0


class ConditionChanged(Struct, frozen=True):
    """The condition of an instrument has changed, whether or not a quote arrives."""

    instrument: Instrument
    condition: Condition


class EntriesMissing(Struct, frozen=True):
    """Entries after *after_id* were trimmed, or lost by Redis, before they were read."""

    instrument: Instrument
    after_id: str


Update: TypeAlias = Quote | ConditionChanged | EntriesMissing


class ReaderOptions(Struct, frozen=True, kw_only=True):
    """How to read.

    Attributes:
        positions: Entry ids to continue after, by instrument, as `QuoteReader.positions` returned
            them. An instrument without one begins with its newest quote.
        origins: First words of `src` that are taken; `replay` marks recorded data.
        newest_only: Only `newest` and `condition` are asked: nothing waits to be iterated over.
        poll_s: Time between two reads of a node.
        silent_after_s: A venue is SILENT when the service has written nothing about it this long.
    """

    positions: Mapping[str, str] = {}
    origins: frozenset[str] = frozenset({"binance"})
    newest_only: bool = False
    poll_s: float = 0.1
    silent_after_s: float = 10.0


class ReaderCounters(Struct):
    """Entries that were not handed out: repeated under another id, of another origin, malformed;
    and how often entries were missing, and reads failed.
    """

    repeated: int = 0
    other_origin: int = 0
    malformed: int = 0
    missing: int = 0
    failed_reads: int = 0


class QuoteReader:
    """Iterate over it for updates, or ask for the newest quote; made by `read_quotes`."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        options: ReaderOptions,
        now_ms: Callable[[], int],
    ) -> None:
        self.instruments = tuple(instruments)
        self.counters = ReaderCounters()
        self._options = options
        self._positions = dict(options.positions)
        self._cursors = {
            each: StreamCursor(each.stream, self._positions.get(str(each), ""))
            for each in instruments
        }
        venues = dict.fromkeys(each.venue for each in instruments)
        self._status = StatusReader(venues, options.silent_after_s, now_ms)
        self._quotes: dict[Instrument, Quote] = {}
        starting = Condition(State.UNREADABLE, cause="not read yet")
        self._unreadable = dict.fromkeys(instruments, starting)
        self._announced = dict(self._unreadable)
        self._catching_up = set(instruments)
        self._outdated: set[Instrument] = set()
        self._updates: asyncio.Queue[Update] = asyncio.Queue(QUEUE_MAX)

    def __aiter__(self) -> Self:
        if self._options.newest_only:
            raise InvalidArgumentError("newest_only leaves no updates to iterate over")
        return self

    async def __anext__(self) -> Update:
        update = await self._updates.get()
        if not isinstance(update, Quote):
            return update
        self._positions[str(update.instrument)] = update.entry_id
        newest = self._quotes[update.instrument].entry_id
        if newest != update.entry_id or update.instrument in self._outdated:
            return structs.replace(update, condition=_SUPERSEDED)
        return self._with_condition(update)

    def positions(self) -> dict[str, str]:
        """The id of the last quote handed out, by instrument: store it to continue after it."""
        return dict(self._positions)

    def newest(self, instrument: str) -> Quote | None:
        """The newest quote that was read, with the condition it has now; None before the first."""
        quote = self._quotes.get(Instrument.parse(instrument))
        if quote is not None and self._updates.full():
            return structs.replace(quote, condition=_STOPPED)
        return quote and self._with_condition(quote)

    def condition(self, instrument: Instrument) -> Condition:
        """The condition now."""
        unreadable = self._unreadable.get(instrument)
        if unreadable is not None:
            return unreadable
        quote = self._quotes.get(instrument)
        return self._status.condition(instrument, quote.ts if quote else 0)

    def _with_condition(self, quote: Quote) -> Quote:
        return structs.replace(quote, condition=self.condition(quote.instrument))

    async def run(self, access: RedisAccess) -> None:
        """Read until cancelled."""
        async with ClusterStreams(access) as streams:
            groups = await self._discover(streams)
            with suppress(RedisUnavailableError):  # the status lane reads it again, and counts it
                await self._status.read(streams)
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._read_status(streams))
                for group in groups:
                    lanes.create_task(self._read_lane(access, group))

    async def _discover(self, streams: ClusterStreams) -> list[list[Instrument]]:
        """The instruments of each node, once the cluster can be read."""
        by_stream = {each.stream: each for each in self._cursors}
        failures = 0
        while True:
            try:
                groups = await streams.by_node(list(by_stream))
            except RedisUnavailableError as error:
                await self._fail(self.instruments, error, failures)
                failures += 1
            else:
                return [[by_stream[name] for name in group] for group in groups]

    async def _read_status(self, streams: ClusterStreams) -> None:
        failures = 0
        while True:
            try:
                await self._status.read(streams)
                failures = 0
            except RedisUnavailableError:
                self.counters.failed_reads += 1
                failures += 1
            await self._announce(self.instruments)
            await asyncio.sleep(max(self._options.poll_s, _backoff_s(failures)))

    async def _read_lane(self, access: RedisAccess, instruments: Sequence[Instrument]) -> None:
        failures = 0
        async with ClusterStreams(access) as streams:
            while True:
                commands = [self._cursors[each].command(COUNT) for each in instruments]
                try:
                    replies = await streams.read(commands)
                except RedisUnavailableError as error:
                    await self._fail(instruments, error, failures)
                    failures += 1
                    continue
                failures = 0
                more = False
                for instrument, reply in zip(instruments, replies, strict=True):
                    more |= await self._take(instrument, reply)
                await self._announce(instruments)
                await asyncio.sleep(0 if more else self._options.poll_s)

    async def _fail(
        self, instruments: Sequence[Instrument], error: RedisUnavailableError, failures: int
    ) -> None:
        self.counters.failed_reads += 1
        for each in instruments:
            self._mark_unreadable(each, error)
        await self._announce(instruments)
        await asyncio.sleep(_backoff_s(failures + 1))

    def _mark_unreadable(self, instrument: Instrument, error: RedisUnavailableError) -> None:
        self._unreadable[instrument] = Condition(State.UNREADABLE, cause=str(error))
        self._catching_up.add(instrument)

    async def _take(
        self, instrument: Instrument, reply: list[Entry] | RedisUnavailableError
    ) -> bool:
        """Queue what *reply* holds; whether there is more to read at once."""
        if isinstance(reply, RedisUnavailableError):
            self._mark_unreadable(instrument, reply)
            return False
        cursor = self._cursors[instrument]
        # What waited for the first read, or through an outage, is as old as its id.
        first, repeated = instrument in self._catching_up, cursor.repeated
        batch: Batch = cursor.accept(reply, COUNT)
        self._unreadable.pop(instrument, None)
        self.counters.repeated += cursor.repeated - repeated
        self._note_read(instrument, more=batch.more)
        if batch.missing_after:
            self.counters.missing += 1
            await self._put(EntriesMissing(instrument, batch.missing_after))
        found = [self._decode(instrument, *entry, first=first) for entry in batch.entries]
        quotes = [quote for quote in found if quote is not None]
        if quotes:
            self._quotes[instrument] = quotes[-1]
            self._announced[instrument] = quotes[-1].condition
        for quote in quotes:
            await self._put(quote)
        return batch.more

    def _note_read(self, instrument: Instrument, *, more: bool) -> None:
        if instrument in self._outdated:
            self._announced[instrument] = _SUPERSEDED  # so that the state is announced again
        if more:
            self._outdated.add(instrument)
        else:
            self._outdated.discard(instrument)
            self._catching_up.discard(instrument)

    def _decode(
        self, instrument: Instrument, entry_id: str, fields: Mapping[str, str], *, first: bool
    ) -> Quote | None:
        if fields.get("src", "").partition(".")[0] not in self._options.origins:
            self.counters.other_origin += 1
            return None
        try:
            quote = decode_quote(instrument, entry_id, fields, Condition(State.UNKNOWN))
        except (KeyError, ValueError):
            self.counters.malformed += 1
            return None
        self._status.hear(instrument.venue, entry_id, first=first)
        condition = self._status.condition(instrument, quote.ts)
        return structs.replace(quote, condition=condition)

    async def _put(self, update: Update) -> None:
        if self._options.newest_only:
            return
        if self._updates.full():
            self._outdated.add(update.instrument)
        await self._updates.put(update)

    async def _announce(self, instruments: Sequence[Instrument]) -> None:
        """Queue the conditions that have changed since they were last handed out."""
        for each in instruments:
            condition = self.condition(each)
            if _words(condition) != _words(self._announced[each]):
                self._announced[each] = condition
                await self._put(ConditionChanged(each, condition))


@asynccontextmanager
async def read_quotes(
    access: RedisAccess,
    instruments: Sequence[str],
    options: ReaderOptions | None = None,
    *,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> AsyncIterator[QuoteReader]:
    """Read *instruments* inside the block; a cluster that is down is read as soon as it is up.

        async with read_quotes(access, ["spot/BTCUSDT", "perp/ETHUSDT"]) as quotes:
            async for update in quotes: ...

    Raises:
        InvalidArgumentError: An instrument or an address is malformed.
    """
    named = [Instrument.parse(each) for each in dict.fromkeys(instruments)]
    parse_addresses(access.addresses)
    reader = QuoteReader(named, options or ReaderOptions(), now_ms)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(reader.run(access))
        try:
            yield reader
        except Exception as error:  # noqa: BLE001 (raised below: the group would wrap it)
            failure = error
        finally:
            reading.cancel()
    if failure is not None:
        raise failure


def _words(condition: Condition) -> tuple[str, int, str]:
    """What makes it another one: the service's causes may have a figure that changes."""
    error = condition.cause if condition.state == State.UNREADABLE else ""
    return condition.state, condition.since, error


def _backoff_s(failures: int) -> float:
    return min(_RETRY_MAX_S, _RETRY_S * 2 ** min(failures, 10)) if failures else 0.0
