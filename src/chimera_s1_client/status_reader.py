"""Reads `mkt:status:*`, and notices when the service writes nothing about a venue."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from chimera_s1_client.cluster_streams import RedisUnavailableError
from chimera_s1_client.quote import Condition, Instrument, State
from chimera_s1_client.stream_cursor import BEFORE_ALL, Command, Entry, StreamCursor
from chimera_s1_client.venue_conditions import VenueConditions, status_stream

ROUND_TRIPS = "metrics:events:s1.ws_rtt"
"""Has an entry about each venue every few seconds, also while no quote changes."""

HISTORY_MAX = 10_000
"""Entries of a status stream that are read at the start; the oldest are left out."""

_COUNT = 500


class Streams(Protocol):
    """`ClusterStreams`, or another client of the cluster."""

    async def read(self, commands: Sequence[Command]) -> list[list[Entry] | RedisUnavailableError]:
        """As `ClusterStreams.read`."""
        ...


class StatusReader:
    """Args:
    silent_after_s: A venue is silent when nothing was written about it for this long; what was
        read of `mkt:status:*` longer ago does not count.
    now_ms: Wall clock, epoch ms; only what is found at the start is compared with it.
    """

    def __init__(
        self, venues: Iterable[str], silent_after_s: float, now_ms: Callable[[], int]
    ) -> None:
        self._venues = {venue: VenueConditions() for venue in venues}
        self._cursors: dict[str, StreamCursor] = {}
        self._round_trips = StreamCursor(ROUND_TRIPS)
        self._silent_after_s = silent_after_s
        self._now_ms = now_ms
        self._heard_s: dict[str, float] = {}
        self._read_s: dict[str, float] = {}
        self._failures: dict[str, str] = {}

    async def read(self, streams: Streams) -> None:
        """Read what is new, of a venue's stream first its history. A stream that cannot be read
        keeps no other one back.

        Raises:
            RedisUnavailableError: One of them cannot be read.
        """
        failures: list[RedisUnavailableError] = []
        for venue in self._venues:
            try:
                await self._read_venue(streams, venue)
                self._read_s[venue] = _now_s()
            except RedisUnavailableError as error:
                self._failures[venue] = str(error)
                failures.append(error)
        try:
            await self._read_round_trips(streams)
        except RedisUnavailableError as error:
            failures.append(error)
        if failures:
            raise failures[0]

    def condition(self, instrument: Instrument, newest_ts: int) -> Condition:
        """Of *instrument*, whose newest quote has the time *newest_ts*."""
        venue, now_s = instrument.venue, _now_s()
        if now_s - self._heard_s.get(venue, float("-inf")) > self._silent_after_s:
            return Condition(State.SILENT, cause="the service writes nothing about the venue")
        if now_s - self._read_s.get(venue, float("-inf")) > self._silent_after_s:
            reason = self._failures.get(venue, "not read yet")
            return Condition(State.UNREADABLE, cause=f"{status_stream(venue)}: {reason}")
        return self._venues[venue].of(instrument.symbol, newest_ts)

    def hear(self, venue: str, entry_id: str, *, first: bool) -> None:
        """An entry about *venue* has arrived; the *first* ones are as old as their ids say."""
        age_ms = self._now_ms() - int(entry_id.partition("-")[0]) if first else 0
        heard_s = _now_s() - max(0, age_ms) / 1000
        self._heard_s[venue] = max(heard_s, self._heard_s.get(venue, heard_s))

    async def _read_venue(self, streams: Streams, venue: str) -> None:
        cursor = self._cursors.get(venue)
        if cursor is not None:
            batch = cursor.accept(await _read_one(streams, cursor.command(_COUNT)), _COUNT)
            if not batch.missing_after:
                for entry in batch.entries:
                    self._record(venue, entry, first=False)
                return
            del self._cursors[venue]
        await self._read_history(streams, venue)

    async def _read_history(self, streams: Streams, venue: str) -> None:
        name = status_stream(venue)
        reply = await _read_one(streams, ("XREVRANGE", name, "+", "-", "COUNT", HISTORY_MAX))
        self._venues[venue] = VenueConditions()
        for entry in reversed(reply):
            self._record(venue, entry, first=True)
        self._cursors[venue] = StreamCursor(name, reply[0][0] if reply else BEFORE_ALL)

    async def _read_round_trips(self, streams: Streams) -> None:
        cursor = self._round_trips
        first = not cursor.last_id
        batch = cursor.accept(await _read_one(streams, cursor.command(_COUNT)), _COUNT)
        for entry_id, fields in batch.entries:
            self.hear(fields.get("venue", ""), entry_id, first=first)

    def _record(self, venue: str, entry: Entry, *, first: bool) -> None:
        entry_id, fields = entry
        self.hear(venue, entry_id, first=first)
        self._fold(venue, fields)

    def _fold(self, venue: str, fields: Mapping[str, str]) -> None:
        with suppress(KeyError, ValueError):  # an entry of a later version
            self._venues[venue].record(fields)


async def _read_one(streams: Streams, command: Command) -> list[Entry]:
    [reply] = await streams.read([command])
    if isinstance(reply, RedisUnavailableError):
        raise reply
    return reply


def _now_s() -> float:
    """Monotonic."""
    return asyncio.get_running_loop().time()
