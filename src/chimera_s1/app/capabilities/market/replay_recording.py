"""Publish a recording window by window, without merging or losing any."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec import Struct, structs

from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import following_id, natural_entry_id
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from chimera_s1.domain.ports.recording import Recording

RETRY_WAIT_MS = 250
STORE_TIMEOUT_MS = 30_000
_NAMES_SHOWN = 5


class ReplayProgress(Struct, frozen=True):
    """Progress of a replay.

    Attributes:
        messages: Data messages read.
        windows: Windows published.
        entries: Quotes published.
        recorded_ms: End of the last window by the recording's time, epoch ms.
        digest: SHA-256 of the published quotes; equal for equal stream contents.
    """

    messages: int
    windows: int
    entries: int
    recorded_ms: int
    digest: str


class ReplayRecording:
    """Replays a recording; *speed* is a multiple of real time, None is as fast as possible."""

    def __init__(
        self,
        recording: Recording,
        publisher: QuotePublisher,
        *,
        clock: Clock,
        window: WindowMs,
        speed: float | None,
    ) -> None:
        self._recording = recording
        self._publisher = publisher
        self._clock = clock
        self._window = window
        self._speed = speed
        self._last_ids: dict[InstrumentId, EntryId] = {}
        self._digest = sha256()

    async def run(self, on_window: Callable[[ReplayProgress], None]) -> ReplayProgress:
        """Replay to the end.

        Raises:
            RecordingDamagedError: Everything before the damage is published.
            PublisherUnavailableError: Redis did not accept a window within 30 s.
            ConfigurationError: A stream already holds newer entries than the file.
        """
        self._last_ids.clear()
        windows = entries = recorded_ms = 0
        first_ms: int | None = None
        started_ms = self._clock.monotonic_ms()
        for window in self._recording.windows():
            recorded_ms = window.end_ms
            first_ms = recorded_ms if first_ms is None else first_ms
            if self._speed is not None:
                due_ms = started_ms + (recorded_ms - first_ms) / self._speed
                await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())
            await self._publish([self._with_id(quote) for quote in window.quotes])
            windows += 1
            entries += len(window.quotes)
            on_window(self._progress(windows, entries, recorded_ms))
        return self._progress(windows, entries, recorded_ms)

    def _progress(self, windows: int, entries: int, recorded_ms: int) -> ReplayProgress:
        messages = self._recording.counters.messages
        return ReplayProgress(messages, windows, entries, recorded_ms, self._digest.hexdigest())

    def _with_id(self, quote: Quote) -> Quote:
        """*quote* with an id above the last one of its stream: times in a file may go back."""
        natural = natural_entry_id(quote, self._window)
        last = self._last_ids.get(quote.instrument)
        assigned = natural if last is None else following_id(natural, last)
        self._last_ids[quote.instrument] = assigned
        return quote if assigned == natural else structs.replace(quote, entry_id=assigned)

    async def _publish(self, quotes: Sequence[Quote]) -> None:
        pending = tuple(quotes)
        give_up_ms = self._clock.monotonic_ms() + STORE_TIMEOUT_MS
        while True:
            report = await self._publisher.publish(pending)
            if report.refused:
                raise _streams_ahead(report.refused)
            if not report.unpublished:
                break
            if self._clock.monotonic_ms() > give_up_ms:
                raise PublisherUnavailableError(
                    f"Redis did not accept a window within {STORE_TIMEOUT_MS / 1000:g} s: "
                    f"{report.cause}"
                )
            pending = report.unpublished
            await self._clock.sleep_ms(RETRY_WAIT_MS)
        for quote in quotes:
            self._digest.update(_line(quote))


def _streams_ahead(refused: Sequence[Quote]) -> ConfigurationError:
    names = sorted({str(quote.instrument) for quote in refused})
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ConfigurationError(
        f"the streams of {', '.join(names[:_NAMES_SHOWN])}{more} already hold newer entries than "
        "the file; replay onto a cluster without them (--redis)"
    )


def _line(quote: Quote) -> bytes:
    numbers = (quote.ts, quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)
    return f"{quote.instrument} {quote.source} {numbers!r}\n".encode()
