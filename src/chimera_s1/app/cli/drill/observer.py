"""Observes a service from outside: its streams, its health, its counters."""

import re
from collections.abc import Sequence
from typing import TypeAlias

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import OPERATIONS_STREAM, quote_stream, status_stream
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.app.cli.drill.observations import (
    Observations,
    ObservedHealth,
    ObservedOperation,
    ObservedStatus,
)
from chimera_s1.app.cli.drill.quote_checks import ObservedQuote
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1_client import HttpSession, NoReplyError

READ_INTERVAL_MS = 50
POLL_INTERVAL_MS = 100
_READ_TIMEOUT_S = 2.0
_DROPPED = re.compile(r's1_feed_dropped_total\{.*venue="(\w+)".*\} ([0-9.e+]+)')

Entries: TypeAlias = list[tuple[str, dict[str, str]]]


class _Component(Struct):
    name: str
    level: str


class _Health(Struct):
    components: list[_Component]


class _Detail(Struct):
    venue: str = ""


class ServiceObserver:
    """Collects observations until cancelled; what cannot be read now is read later."""

    def __init__(self, client: ClusterClient, service: HttpSession, clock: Clock) -> None:
        """Args: client: Of the service's Redis, for this observer alone."""
        self.observations = Observations()
        self._client = client
        self._service = service
        self._clock = clock
        self._last_entry_ids: dict[str, str] = {}

    async def begin(self) -> None:
        """Find the quote streams, and read everything from now on.

        Raises:
            PublisherUnavailableError: Redis does not answer.
        """
        names = await RedisQuoteReader(self._client).instruments()
        self.observations.quotes = {name: [] for name in names}
        streams = [OPERATIONS_STREAM, *map(status_stream, Venue), *map(quote_stream, names)]
        self._last_entry_ids = dict.fromkeys(streams, f"{self._clock.now_ms()}-0")

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_streams)
            tasks.start_soon(self._watch_health)

    async def _watch_streams(self) -> None:
        while True:
            try:
                with self._client.translate_errors(), anyio.fail_after(_READ_TIMEOUT_S):
                    await self._read_streams()
            except PublisherUnavailableError:
                pass  # the next read begins where the last successful one ended
            await self._clock.sleep_ms(READ_INTERVAL_MS)

    async def _read_streams(self) -> None:
        pipeline = self._client.pipeline()
        for stream, last_id in self._last_entry_ids.items():
            pipeline.execute_command("XRANGE", stream, f"({last_id}", "+")
        replies: Sequence[Entries] = await pipeline.execute()
        found = dict(zip(self._last_entry_ids, replies, strict=True))
        for stream, entries in found.items():
            if entries:
                self._last_entry_ids[stream] = entries[-1][0]
        self._record_operations(found[OPERATIONS_STREAM])
        for venue in Venue:
            self._record_status(venue, found[status_stream(venue)])
        for name in self.observations.quotes:
            self._record_quotes(name, found[quote_stream(name)])

    def _record_operations(self, entries: Entries) -> None:
        for entry_id, each in entries:
            detail = msgspec.json.decode(each["detail_json"], type=_Detail)
            operation = ObservedOperation(_ms(entry_id), each["kind"], detail.venue)
            self.observations.operations.append(operation)

    def _record_status(self, venue: Venue, entries: Entries) -> None:
        self.observations.status += [
            ObservedStatus(_ms(entry_id), venue.value, each["symbol"], each["state"])
            for entry_id, each in entries
        ]

    def _record_quotes(self, name: InstrumentId, entries: Entries) -> None:
        # One source of each instrument is enough.
        read_ms = self._clock.now_ms()
        self.observations.quotes[name] += [
            _quote(entry_id, read_ms, fields)
            for entry_id, fields in entries
            if fields["src"].endswith(".bookTicker")
        ]

    async def _watch_health(self) -> None:
        while True:
            levels: dict[str, str] = {}
            dropped: dict[str, float] = {}
            try:
                health = await self._service.send("GET", "/health")
                metrics = await self._service.send("GET", "/metrics")
                components = msgspec.json.decode(health.body, type=_Health).components
                levels = {each.name: each.level for each in components}
                dropped = _dropped(metrics.body.decode())
            except (NoReplyError, msgspec.DecodeError):
                pass  # no levels: the service does not answer
            self.observations.health.append(
                ObservedHealth(self._clock.now_ms(), levels=levels, dropped=dropped)
            )
            await self._clock.sleep_ms(POLL_INTERVAL_MS)


def _dropped(metrics: str) -> dict[str, float]:
    """Frames dropped by venue, all reasons together."""
    by_venue: dict[str, float] = {}
    for venue, value in _DROPPED.findall(metrics):
        by_venue[venue] = by_venue.get(venue, 0.0) + float(value)
    return by_venue


def _quote(entry_id: str, read_ms: int, fields: dict[str, str]) -> ObservedQuote:
    names = ("bid1", "ask1", "mid", "spread_bps", "top1_qty", "top1_usdt")
    numbers = (float(fields[name]) for name in names)
    return ObservedQuote(_ms(entry_id), read_ms, int(fields["ts"]), *numbers)


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
