"""Reads `mkt:status:*`, and notices when the service writes nothing about a venue."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
    silent_after_s: A venue is silent when nothing was written about it for this long.
    now_ms: Wall clock, epoch ms; only what is found at the start is compared with it.
    """

    def __init__(
        self, venues: Sequence[str], silent_after_s: float, now_ms: Callable[[], int]
    ) -> None:
        self._venues = {venue: VenueConditions() for venue in venues}
        self._cursors = {venue: StreamCursor(status_stream(venue)) for venue in venues}
        self._round_trips = StreamCursor(ROUND_TRIPS)
        self._silent_after_s = silent_after_s
        self._now_ms = now_ms
        self._heard_s: dict[str, float] = {}

    async def begin(self, streams: Streams) -> None:
        """Read the history of all venues.

        Raises:
            RedisUnavailableError: It cannot be read.
        """
        for venue in self._venues:
            await self._read_history(streams, venue)
        await self.read(streams)

    async def read(self, streams: Streams) -> None:
        """Read what is new.

        Raises:
            RedisUnavailableError: It cannot be read.
        """
        cursors = [*self._cursors.values(), self._round_trips]
        replies = await streams.read([each.command(_COUNT) for each in cursors])
        for reply in replies:
            if isinstance(reply, RedisUnavailableError):
                raise reply
        *statuses, round_trips = [each for each in replies if isinstance(each, list)]
        for (venue, cursor), reply in zip(self._cursors.items(), statuses, strict=True):
            batch = cursor.accept(reply, _COUNT)
            if batch.missing_after:
                self._venues[venue].forget()
                await self._read_history(streams, venue)
                continue
            for entry in batch.entries:
                self._record(venue, entry, first=False)
        first = not self._round_trips.last_id
        for entry_id, fields in self._round_trips.accept(round_trips, _COUNT).entries:
            self.hear(fields.get("venue", ""), entry_id, first=first)

    def condition(self, instrument: Instrument, newest_ts: int) -> Condition:
        """Of *instrument*, whose newest quote has the time *newest_ts*."""
        silent_s = _now_s() - self._heard_s.get(instrument.venue, float("-inf"))
        if silent_s > self._silent_after_s:
            return Condition(State.SILENT, cause="the service writes nothing about the venue")
        return self._venues[instrument.venue].of(instrument.symbol, newest_ts)

    def hear(self, venue: str, entry_id: str, *, first: bool) -> None:
        """An entry about *venue* has arrived; the *first* ones are as old as their ids say."""
        age_ms = self._now_ms() - int(entry_id.partition("-")[0]) if first else 0
        heard_s = _now_s() - max(0, age_ms) / 1000
        self._heard_s[venue] = max(heard_s, self._heard_s.get(venue, heard_s))

    async def _read_history(self, streams: Streams, venue: str) -> None:
        name = status_stream(venue)
        [reply] = await streams.read([("XREVRANGE", name, "+", "-", "COUNT", HISTORY_MAX)])
        if isinstance(reply, RedisUnavailableError):
            raise reply
        for entry in reversed(reply):
            self._record(venue, entry, first=True)
        self._cursors[venue] = StreamCursor(name, reply[0][0] if reply else BEFORE_ALL)

    def _record(self, venue: str, entry: Entry, *, first: bool) -> None:
        entry_id, fields = entry
        self.hear(venue, entry_id, first=first)
        self._fold(venue, fields)

    def _fold(self, venue: str, fields: Mapping[str, str]) -> None:
        with suppress(KeyError, ValueError):  # an entry of a later version
            self._venues[venue].record(fields)


def _now_s() -> float:
    """Monotonic."""
    return asyncio.get_running_loop().time()
