"""What the quotes observed in a drill prove: missing windows, wrong numbers, lateness."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId

WINDOW_MS = 1_000
"""The unit of counting, and the longest conflation window."""

EDGE_MS = 100
"""Tolerance at the edges of a window: sockets are read on a timer, clocks are estimated."""

FUTURE_MS = 250
_TOLERANCE = 1e-9

SentBook: TypeAlias = tuple[float, float, float]
"""Bid, ask, and the smaller of their quantities."""


class ObservedQuote(Struct, frozen=True, gc=False):
    """One entry of a quote stream; times are local epoch ms.

    Attributes:
        at_ms: Of its id: the end of its window.
        read_ms: When the drill read it, at most one interval of reading after it was written.
    """

    at_ms: int
    read_ms: int
    ts: int
    bid: float
    ask: float
    mid: float
    spread_bps: float
    top1_qty: float
    top1_usdt: float

    @property
    def book(self) -> SentBook:
        return self.bid, self.ask, self.top1_qty


def missing_windows(quotes: Sequence[ObservedQuote], from_ms: int, to_ms: int) -> int:
    """Whole windows between the two times without a quote; each quote fills one."""
    times = sorted(quote.ts for quote in quotes)
    index = missing = 0
    for window in range(from_ms // WINDOW_MS + 1, to_ms // WINDOW_MS):
        start_ms = window * WINDOW_MS
        while index < len(times) and times[index] < start_ms - EDGE_MS:
            index += 1
        if index < len(times) and times[index] < start_ms + WINDOW_MS + EDGE_MS:
            index += 1
        else:
            missing += 1
    return missing


def most_missing(
    quotes: Mapping[InstrumentId, Sequence[ObservedQuote]],
    names: Iterable[InstrumentId],
    from_ms: int,
    to_ms: int,
) -> int:
    """The missing windows of the instrument that misses most."""
    counts = (missing_windows(quotes.get(name, ()), from_ms, to_ms) for name in names)
    return max(counts, default=0)


def quote_errors(quotes: Sequence[ObservedQuote], books: frozenset[SentBook]) -> tuple[str, ...]:
    """The errors in *quotes*, in words; *books* is everything that the exchange can have sent."""
    found: list[str] = []
    for quote in quotes:
        if quote.book not in books:
            found.append(f"no such book was sent: {quote.bid} {quote.ask} {quote.top1_qty}")
        if not _derived_correctly(quote):
            found.append(f"mid, spread or value do not follow from the book at {quote.ts}")
    twice = (new for old, new in pairwise(quotes) if (new.ts, new.book) == (old.ts, old.book))
    return (*found, *(f"published twice: ts {quote.ts}" for quote in twice))


def mistimed_quotes(quotes: Sequence[ObservedQuote], age_max_ms: int) -> int:
    """How many *quotes* have a ts after their entry, more than *age_max_ms* before it, or before
    the previous ts.
    """
    count = previous = 0
    for quote in quotes:
        fits = -FUTURE_MS <= quote.at_ms - quote.ts <= age_max_ms and quote.ts >= previous
        count += not fits
        previous = quote.ts
    return count


def lateness_ms(quotes: Iterable[ObservedQuote]) -> float | None:
    """From a window's end until its entry was read, 99th percentile, ms; None without a quote."""
    late = sorted(quote.read_ms - quote.at_ms for quote in quotes)
    return float(late[int(0.99 * (len(late) - 1))]) if late else None


def _derived_correctly(quote: ObservedQuote) -> bool:
    mid = (quote.bid + quote.ask) / 2
    expected = (mid, (quote.ask - quote.bid) / mid * 1e4, quote.top1_qty * mid)
    published = (quote.mid, quote.spread_bps, quote.top1_usdt)
    return all(
        abs(a - b) <= _TOLERANCE * max(1.0, abs(b))
        for a, b in zip(published, expected, strict=True)
    )
