"""Writes down what can be seen of a service from outside: its streams, its health, its counters."""

import re
from collections.abc import Sequence

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import translate_redis_errors
from chimera_s1.adapters.redis.keys import OPERATIONS_STREAM, quote_stream, status_stream
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.app.cli.drill.http import HttpRequestError, request
from chimera_s1.app.cli.drill.observations import Observations
from chimera_s1.app.cli.drill.observed import (
    ObservedHealth,
    ObservedOperation,
    ObservedQuote,
    ObservedStatus,
)
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.clock import Clock

READ_MS = 250
POLL_INTERVAL_MS = 100
_READ_TIMEOUT_S = 2.0
_DROPPED = re.compile(r's1_feed_dropped_total\{.*venue="(\w+)".*\} ([0-9.e+]+)')

Entries = list[tuple[str, dict[str, str]]]


class _Component(Struct):
    name: str
    level: str


class _Health(Struct):
    components: list[_Component]


class _Detail(Struct):
    connection: str = ""
    venue: str = ""
    cause: str = ""


class ServiceObserver:
    """Fills a record until cancelled; what cannot be read now is read later."""

    def __init__(self, client: ClusterClient, url: str, clock: Clock) -> None:
        """Args:
        client: Of the service's Redis; used by nobody else.

        url: Of the service.

        clock: Time and waiting.
        """
        self.observations = Observations()
        self._client = client
        self._url = url
        self._clock = clock
        self._last_entry_ids: dict[str, str] = {}
        self._dropped: dict[str, float] = {}

    async def run(self) -> None:
        """Watch streams and health."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_streams)
            tasks.start_soon(self._watch_health)

    async def begin(self) -> None:
        """Find the quote streams; everything is read from now on.

        Raises:
            PublisherUnavailableError: Redis does not answer.
        """
        reader = RedisQuoteReader(self._client)
        self.observations.quotes = {name: [] for name in await reader.instruments()}
        start = f"{self._clock.now_ms()}-0"
        self._last_entry_ids = dict.fromkeys(
            [
                OPERATIONS_STREAM,
                *(status_stream(venue) for venue in Venue),
                *(quote_stream(name) for name in self.observations.quotes),
            ],
            start,
        )

    async def _watch_streams(self) -> None:
        while True:
            try:
                with translate_redis_errors(), anyio.fail_after(_READ_TIMEOUT_S):
                    await self._read()
            except PublisherUnavailableError:
                pass  # it is read when Redis is back
            await self._clock.sleep_ms(READ_MS)

    async def _read(self) -> None:
        pipeline = self._client.pipeline()
        streams = list(self._last_entry_ids)
        for stream in streams:
            pipeline.execute_command("XRANGE", stream, f"({self._last_entry_ids[stream]}", "+")
        replies: Sequence[Entries] = await pipeline.execute()
        found = dict(zip(streams, replies, strict=True))
        for stream, entries in found.items():
            if entries:
                self._last_entry_ids[stream] = entries[-1][0]
        self._record_operations(found[OPERATIONS_STREAM])
        for venue in Venue:
            self._record_status(venue, found[status_stream(venue)])
        for name in self.observations.quotes:
            self._record_quotes(name, found[quote_stream(name)])

    def _record_quotes(self, name: InstrumentId, entries: Entries) -> None:
        # Of several sources of one instrument, the first in the stream's name is enough.
        self.observations.quotes[name] += [
            _quote(entry_id, fields)
            for entry_id, fields in entries
            if fields["src"].endswith(".bookTicker")
        ]

    def _record_status(self, venue: Venue, entries: Entries) -> None:
        self.observations.status += [
            ObservedStatus(_ms(entry_id), venue.value, each["symbol"], each["state"], each["cause"])
            for entry_id, each in entries
        ]

    def _record_operations(self, entries: Entries) -> None:
        for entry_id, each in entries:
            detail = msgspec.json.decode(each["detail_json"], type=_Detail)
            text = f"{detail.connection}: {detail.cause}"
            self.observations.operations.append(
                ObservedOperation(_ms(entry_id), each["kind"], detail.venue, text)
            )

    async def _watch_health(self) -> None:
        while True:
            try:
                await self._poll_health()
            except (HttpRequestError, msgspec.DecodeError):
                # A service that does not answer is not ready.
                silent = ObservedHealth(self._clock.now_ms(), ready=False, levels={}, dropped={})
                self.observations.health.append(silent)
            await self._clock.sleep_ms(POLL_INTERVAL_MS)

    async def _poll_health(self) -> None:
        answer = await request("GET", f"{self._url}/health")
        health = msgspec.json.decode(answer.body, type=_Health)
        ready = await request("GET", f"{self._url}/ready")
        metrics = await request("GET", f"{self._url}/metrics")
        seen = ObservedHealth(
            self._clock.now_ms(),
            ready=ready.ok,
            levels={each.name: each.level for each in health.components},
            dropped=_dropped(metrics.body.decode()),
        )
        self.observations.health.append(seen)


def _dropped(metrics: str) -> dict[str, float]:
    """Frames dropped by venue, all reasons together."""
    by_venue: dict[str, float] = {}
    for venue, value in _DROPPED.findall(metrics):
        by_venue[venue] = by_venue.get(venue, 0.0) + float(value)
    return by_venue


def _quote(entry_id: str, fields: dict[str, str]) -> ObservedQuote:
    return ObservedQuote(
        _ms(entry_id),
        int(fields["ts"]),
        float(fields["bid1"]),
        float(fields["ask1"]),
        float(fields["mid"]),
        float(fields["spread_bps"]),
        float(fields["top1_qty"]),
        float(fields["top1_usdt"]),
    )


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
