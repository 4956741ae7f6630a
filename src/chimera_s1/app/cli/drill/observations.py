"""What a drill observed of a service from outside. All times are local epoch ms."""

from collections.abc import Sequence

from msgspec import Struct, field

from chimera_s1.app.cli.drill.quote_checks import WINDOW_MS, ObservedQuote, missing_windows
from chimera_s1.domain.identifiers import InstrumentId

STABLE_WINDOWS = 3
RECENT_MS = 10_000
_RECENT_QUOTES = 200


class ObservedStatus(Struct, frozen=True):
    """One entry of `mkt:status:<venue>`."""

    at_ms: int
    venue: str
    symbol: str
    state: str


class ObservedOperation(Struct, frozen=True):
    """One entry of `ops:events` about a connection."""

    at_ms: int
    kind: str
    venue: str


class ObservedHealth(Struct, frozen=True):
    """One poll: component levels from `/health`, dropped frames by venue from `/metrics`."""

    at_ms: int
    levels: dict[str, str]
    dropped: dict[str, float]


class Observations(Struct):
    """Everything observed so far, oldest first."""

    quotes: dict[InstrumentId, list[ObservedQuote]] = field(default_factory=dict)
    status: list[ObservedStatus] = field(default_factory=list)
    operations: list[ObservedOperation] = field(default_factory=list)
    health: list[ObservedHealth] = field(default_factory=list)

    def stable_instruments(self, now_ms: int) -> tuple[InstrumentId, ...]:
        """Instruments with a quote in each recent window; none while one of them is recovering."""
        start_ms = (now_ms // WINDOW_MS - 2 - STABLE_WINDOWS) * WINDOW_MS
        end_ms = start_ms + (STABLE_WINDOWS + 1) * WINDOW_MS
        names: list[InstrumentId] = []
        for name, quotes in self.quotes.items():
            recent = [each for each in quotes[-_RECENT_QUOTES:] if each.ts > now_ms - RECENT_MS]
            if recent and missing_windows(recent, start_ms, end_ms):
                return ()
            if recent:
                names.append(name)
        return tuple(names)

    def connections_lost(self, since_ms: int) -> int:
        return sum(each.kind == "ws.lost" and each.at_ms > since_ms for each in self.operations)

    def quotes_after(
        self, names: Sequence[InstrumentId], since_ms: int
    ) -> dict[InstrumentId, list[ObservedQuote]]:
        """Quotes of *names* written after *since_ms*."""
        return {
            name: [quote for quote in self.quotes[name] if quote.at_ms > since_ms] for name in names
        }
