"""Refuses a replay that would break the streams it writes to."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from chimera_s1.adapters.binance.recording import book_stream
from chimera_s1.adapters.market_file import RecordedMessage
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.quote_reader import PublishedQuote

LIVE_MS = 60_000
"""A stream whose last live entry is younger has a publisher."""

_NAMED = 3


class FileSummary(Struct, frozen=True):
    """Number of *messages*; the first and last time, epoch ms, of all and of each instrument."""

    messages: int
    first_ms: int
    last_ms: int
    first_by_instrument: Mapping[InstrumentId, int]


def summarize(records: Iterable[RecordedMessage]) -> FileSummary:
    messages, first_ms, last_ms = 0, 0, 0
    firsts: dict[InstrumentId, int] = {}
    instruments: dict[tuple[Venue, str], InstrumentId | None] = {}
    for record in records:
        first_ms = min(first_ms, record.ts) if messages else record.ts
        last_ms = max(last_ms, record.ts)
        messages += 1
        key = record.venue, record.stream
        if key not in instruments:
            stream = book_stream(*key)
            instruments[key] = None if stream is None else stream.instrument
        instrument = instruments[key]
        if instrument is not None:
            firsts[instrument] = min(firsts.get(instrument, record.ts), record.ts)
    return FileSummary(messages, first_ms, last_ms, firsts)


def rebase_shift_ms(summary: FileSummary, now_ms: int, speed: float | None) -> int:
    """What to add to the times of a file so that its last message is not later than its replay."""
    duration_ms = summary.last_ms - summary.first_ms
    ends_ms = now_ms + (0 if speed is None else duration_ms / max(speed, 1.0))
    return round(ends_ms) - summary.last_ms


def check_publishers(leases: Sequence[str], newest: Sequence[PublishedQuote], now_ms: int) -> None:
    """Check that no service publishes on the cluster, before *newest* entries get rebased ones.

    Raises:
        ConfigurationError: A publisher lease is held; or an entry is young and not of a replay:
            earlier versions have no lease.
    """
    live = [quote for quote in newest if _is_live(quote, now_ms)]
    if leases or live:
        shown = f"publisher lease {leases[0]}" if leases else f"new entries in {_names(live)}"
        raise ConfigurationError(
            f"a service publishes on this cluster ({shown}), and --rebase would put other prices "
            "among its quotes; name another cluster with --into, or none for an embedded one"
        )


def check_streams(
    summary: FileSummary,
    newest: Sequence[PublishedQuote],
    *,
    shift_ms: int,
    rebased: bool,
) -> None:
    """Check the *newest* entries of the streams that the file would write to.

    Raises:
        ConfigurationError: A stream holds an entry that is not older than the file.
    """
    firsts = summary.first_by_instrument
    newer = [quote for quote in newest if last_ms(quote) >= firsts[quote.instrument] + shift_ms]
    if newer:
        raise ConfigurationError(
            f"newer entries than the file are already in {_names(newer)}; nothing was written. "
            "Name another cluster with --into, or none for an embedded one"
            + ("" if rebased else ", or move the file's times to now with --rebase")
        )


def last_ms(quote: PublishedQuote) -> int:
    """The later of the entry id's time and `ts`."""
    return max(int(quote.entry_id.partition("-")[0]), _field_ms(quote, "ts"))


def _is_live(quote: PublishedQuote, now_ms: int) -> bool:
    source = dict(quote.fields).get("src", "")
    return not source.startswith("replay.") and now_ms - last_ms(quote) < LIVE_MS


def _field_ms(quote: PublishedQuote, name: str) -> int:
    text = dict(quote.fields).get(name, "")
    if not text.isdigit():
        raise InvalidValueError(f"{quote.instrument}, entry {quote.entry_id}: {name} is {text!r}")
    return int(text)


def _names(quotes: Sequence[PublishedQuote]) -> str:
    streams = [f"mkt:events:{str(quote.instrument).replace('/', ':')}" for quote in quotes]
    more = len(streams) - _NAMED
    return ", ".join(streams[:_NAMED]) + (f" and {more} more streams" if more > 0 else "")
