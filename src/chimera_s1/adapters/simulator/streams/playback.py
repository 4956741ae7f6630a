"""Sends a recorded file in place of generated prices.

Payloads are sent as recorded, except for what a consumer would reject: event times move to now, and
in a loop update ids keep growing, because consumers drop an id they have seen.
"""

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import anyio

from chimera_s1.adapters.market_file import FileCut, RecordedMessage, read_market_file
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import parse_stream
from chimera_s1.domain.ports.clock import Clock

RECORDS_SCANNED = 200_000
"""Records read at the start to find the symbols to list."""

BATCH_MAX = 1000
_BATCH_MS = 2.0
_SKIPPED_SHOWN = 5
_TIMES_AND_IDS = re.compile(rb'"(E|T|u|U|pu|lastUpdateId)":(\d+)')
_TIME_KEYS = (b"E", b"T")

_log = logging.getLogger(__name__)


def symbols_in(path: Path) -> tuple[str, ...]:
    """Symbols quoted in USDT among the first RECORDS_SCANNED records of *path*.

    Raises:
        RecordingDamagedError: The file is not a market data file.
    """
    found: dict[str, None] = {}
    records = read_market_file(path, on_cut=_ignore_cut)  # said when it is played
    for record in itertools.islice(records, RECORDS_SCANNED):
        stream = parse_stream(record.venue, record.stream)
        if stream is not None and stream.symbol.endswith("USDT"):
            found[stream.symbol] = None
    return tuple(found)


class PlayedFile:
    """A file to play, once or in a loop; its defects are logged the first time only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._damaged: int | None = 0

    def records(self) -> Iterator[RecordedMessage]:
        """From the start; damaged lines are skipped, and a cut is the end."""
        if self._damaged is None:
            yield from read_market_file(self._path, on_damaged=_ignore_line, on_cut=_ignore_cut)
            return
        yield from read_market_file(self._path, on_damaged=self._log_skipped, on_cut=_log_cut)
        if self._damaged > _SKIPPED_SHOWN:
            _log.warning("playback: %d lines of the file skipped in all", self._damaged)
        self._damaged = None

    def _log_skipped(self, line: int, reason: str) -> None:
        self._damaged = (self._damaged or 0) + 1
        if self._damaged <= _SKIPPED_SHOWN:
            _log.warning("playback: line %d of the file skipped: %s", line, reason)


def _log_cut(cut: FileCut) -> None:
    _log.warning("playback: %s", cut)


def _ignore_line(_number: int, _reason: str) -> None:
    pass


def _ignore_cut(_cut: FileCut) -> None:
    pass


class Playback:
    def __init__(
        self,
        records: Callable[[], Iterable[RecordedMessage]],
        hubs: Sequence[StreamHub],
        clock: Clock,
        subscribed: anyio.Event,
        *,
        rate: float | None,
        loop: bool,
    ) -> None:
        """Prepare a playback.

        Args:
            records: Opens the file at its start.
            hubs: One per venue.
            clock: For the pace.
            subscribed: Set by the first subscription; playback starts then.
            rate: Records per second; None keeps the file's own times.
            loop: Start again at the end.
        """
        self._played = 0
        self._records = records
        self._hubs = {hub.venue: hub for hub in hubs}
        self._clock = clock
        self._subscribed = subscribed
        self._rate = rate
        self._loop = loop
        self._highest_id = 0

    async def run(self) -> None:
        """Play from the first subscription to the end of the file; a loop never ends."""
        await self._subscribed.wait()
        id_shift = 0
        while True:
            before = self._played
            await self._play_once(id_shift)
            if not self._loop or self._played == before:
                return
            id_shift = self._highest_id

    async def _play_once(self, id_shift: int) -> None:
        start = self._clock.monotonic_ms()
        for due_ms, batch in _batches(self._records(), self._rate):
            await self._clock.sleep_ms(start + due_ms - self._clock.monotonic_ms())
            self._send(batch, id_shift)

    def _send(self, batch: list[RecordedMessage], id_shift: int) -> None:
        for hub in self._hubs.values():
            hub.begin_batch()
        for record in batch:
            hub = self._hubs[record.venue]
            topic = hub.topics.get(record.stream)
            if topic is not None:
                age_ms = hub.clock.now_ms() - record.ts
                hub.publish(topic, self._restamped(record.data, age_ms, id_shift))
        self._played += len(batch)
        for hub in self._hubs.values():
            hub.end_batch()

    def _restamped(self, data: bytes, age_ms: int, id_shift: int) -> bytes:
        # The T of a mark price is the next funding time, not an event time.
        keep_t = b'"markPriceUpdate"' in data

        def restamp(found: re.Match[bytes]) -> bytes:
            key, number = found[1], int(found[2])
            if key in _TIME_KEYS:
                return found[0] if key == b"T" and keep_t else b'"%b":%d' % (key, number + age_ms)
            self._highest_id = max(self._highest_id, number + id_shift)
            return b'"%b":%d' % (key, number + id_shift)

        return _TIMES_AND_IDS.sub(restamp, data)


def _batches(
    records: Iterable[RecordedMessage], rate: float | None
) -> Iterator[tuple[float, list[RecordedMessage]]]:
    """Records to send together, each batch with its time in ms from the start."""
    batch: list[RecordedMessage] = []
    batch_due = 0.0
    for due, record in _scheduled(records, rate):
        if batch and (due > batch_due + _BATCH_MS or len(batch) >= BATCH_MAX):
            yield batch_due, batch
            batch = []
        if not batch:
            batch_due = due
        batch.append(record)
    if batch:
        yield batch_due, batch


def _scheduled(
    records: Iterable[RecordedMessage], rate: float | None
) -> Iterator[tuple[float, RecordedMessage]]:
    first_ts: int | None = None
    for number, record in enumerate(records):
        first_ts = record.ts if first_ts is None else first_ts
        yield (number * 1000 / rate if rate else float(record.ts - first_ts)), record
