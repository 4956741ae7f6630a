"""What a drill's quotes prove: which windows are missing, which numbers are wrong, how late they
came.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from chimera_s1.app.cli.drill.observed import WINDOW_MS, ObservedQuote
from chimera_s1.domain.identifiers import InstrumentId

SentBook = tuple[float, float, float]
"""Bid, ask, and the smaller of their quantities."""

EDGE_MS = 100
"""How far a quote may lie outside its window: the socket is read on a timer, clocks are
measured.
"""

FUTURE_MS = 250
_TOLERANCE = 1e-9


def missing_windows(quotes: Sequence[ObservedQuote], from_ms: int, to_ms: int) -> int:
    """Whole windows between the two moments that no quote belongs to; each quote fills one."""
    times = sorted(quote.ts for quote in quotes)
    position = missing = 0
    for window in range(from_ms // WINDOW_MS + 1, to_ms // WINDOW_MS):
        start_ms = window * WINDOW_MS
        while position < len(times) and times[position] < start_ms - EDGE_MS:
            position += 1
        if position < len(times) and times[position] < start_ms + WINDOW_MS + EDGE_MS:
            position += 1
        else:
            missing += 1
    return missing


def most_missing(
    quotes: Mapping[InstrumentId, Sequence[ObservedQuote]],
    names: Iterable[InstrumentId],
    from_ms: int,
    to_ms: int,
) -> int:
    """The missing windows of the instrument that lacks most."""
    counts = (missing_windows(quotes.get(name, ()), from_ms, to_ms) for name in names)
    return max(counts, default=0)


def quote_errors(quotes: Sequence[ObservedQuote], books: frozenset[SentBook]) -> tuple[str, ...]:
    """What is wrong with the numbers of *quotes*, in words; empty where the exchange sent every
    one.
    """
    found: list[str] = []
    for quote in quotes:
        if (quote.bid, quote.ask, quote.top1_qty) not in books:
            found.append(f"no such book was sent: {quote.bid} {quote.ask} {quote.top1_qty}")
        if not _derived(quote):
            found.append(f"mid, spread or value do not follow from the book at {quote.ts}")
    twice = (after for before, after in pairwise(quotes) if _same(after, before))
    return (*found, *(f"published twice: ts {quote.ts}" for quote in twice))


def mistimed_quotes(quotes: Sequence[ObservedQuote], age_max_ms: int) -> int:
    """How many *quotes* have a ts after their entry, more than *age_max_ms* before it, or before
    the one of the quote before.
    """
    count = 0
    newest = 0
    for quote in quotes:
        fits = -FUTURE_MS <= quote.at_ms - quote.ts <= age_max_ms and quote.ts >= newest
        count += not fits
        newest = quote.ts
    return count


def lateness_ms(quotes: Iterable[ObservedQuote]) -> float | None:
    """From a window's end to the entry, 99th percentile, ms; None without a quote."""
    late = sorted(quote.at_ms - (quote.ts // WINDOW_MS + 1) * WINDOW_MS for quote in quotes)
    return float(late[int(0.99 * (len(late) - 1))]) if late else None


def _derived(quote: ObservedQuote) -> bool:
    mid = (quote.bid + quote.ask) / 2
    expected = (mid, (quote.ask - quote.bid) / mid * 1e4, quote.top1_qty * mid)
    seen = (quote.mid, quote.spread_bps, quote.top1_usdt)
    return all(
        abs(a - b) <= _TOLERANCE * max(1.0, abs(b)) for a, b in zip(seen, expected, strict=True)
    )


def _same(quote: ObservedQuote, before: ObservedQuote) -> bool:
    book, last = (quote.bid, quote.ask, quote.top1_qty), (before.bid, before.ask, before.top1_qty)
    return quote.ts == before.ts and book == last
