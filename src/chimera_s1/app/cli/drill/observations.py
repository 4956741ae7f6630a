"""Everything that was seen while a drill ran, and the questions a drill asks it."""

from collections.abc import Iterable, Sequence
from typing import TypeVar, assert_never

from msgspec import Struct, field

from chimera_s1.app.cli.drill.drill import (
    AnySign,
    DroppedSign,
    LevelSign,
    OperationsSign,
    QuotesSign,
    Sign,
    StatusSign,
)
from chimera_s1.app.cli.drill.observed import (
    WINDOW_MS,
    ObservedHealth,
    ObservedOperation,
    ObservedQuote,
    ObservedStatus,
)
from chimera_s1.app.cli.drill.quote_checks import missing_windows
from chimera_s1.domain.identifiers import InstrumentId

BASELINE_WINDOWS = 3
RECENT_MS = 10_000
_LATELY_QUOTES = 200


class ObservedSign(Struct, frozen=True):
    """A sign that was seen, in words."""

    at_ms: int
    by: str


Observation = TypeVar("Observation", ObservedStatus, ObservedOperation, ObservedHealth)


class Observations(Struct):
    """Everything seen so far, oldest first."""

    quotes: dict[InstrumentId, list[ObservedQuote]] = field(default_factory=dict)
    status: list[ObservedStatus] = field(default_factory=list)
    operations: list[ObservedOperation] = field(default_factory=list)
    health: list[ObservedHealth] = field(default_factory=list)

    def baseline(self, now_ms: int) -> tuple[InstrumentId, ...]:
        """Instruments that had a quote in each of the last whole windows; none while one that had a
        quote lately lacks some, because it is still coming back.
        """
        oldest_ms = now_ms - RECENT_MS
        missing: dict[InstrumentId, int] = {}
        for name, quotes in self.quotes.items():
            lately = [quote for quote in quotes[-_LATELY_QUOTES:] if quote.ts > oldest_ms]
            if lately:
                start_ms = (now_ms // WINDOW_MS - 2 - BASELINE_WINDOWS) * WINDOW_MS
                end_ms = start_ms + (BASELINE_WINDOWS + 1) * WINDOW_MS
                missing[name] = missing_windows(lately, start_ms, end_ms)
        return tuple(missing) if not any(missing.values()) else ()

    def first_signs(
        self, groups: Sequence[AnySign], since_ms: int, baseline: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        """The moment by which one sign of each of *groups* was seen; None where one was not yet."""
        firsts: list[ObservedSign] = []
        for group in groups:
            found = [self._first(sign, since_ms, baseline) for sign in group]
            known = [each for each in found if each is not None]
            if not known:
                return None
            firsts.append(min(known, key=lambda each: each.at_ms))
        return max(firsts, key=lambda each: each.at_ms, default=None)

    def connections_lost(self, since_ms: int) -> int:
        """Connections lost."""
        return sum(each.kind == "ws.lost" for each in _after(self.operations, since_ms))

    def _first(
        self, sign: Sign, since_ms: int, baseline: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        match sign:
            case StatusSign():
                return self._first_status(sign, since_ms)
            case OperationsSign():
                return self._first_operation(sign, since_ms)
            case LevelSign():
                return self._first_level(sign, since_ms)
            case DroppedSign():
                return self._first_drop(sign, since_ms)
            case QuotesSign(venue=venue):
                names = [name for name in baseline if venue in {"", name.venue.value}]
                return self._all_quoted(names, since_ms)
            case _:
                assert_never(sign)

    def _first_status(self, sign: StatusSign, since_ms: int) -> ObservedSign | None:
        for each in _after(self.status, since_ms):
            meant = each.venue == sign.venue and sign.symbol in {"", each.symbol}
            if meant and each.state in sign.states:
                return ObservedSign(each.at_ms, f"mkt:status:{each.venue} {each.state}")
        return None

    def _first_operation(self, sign: OperationsSign, since_ms: int) -> ObservedSign | None:
        for each in _after(self.operations, since_ms):
            if (each.venue, each.kind) == (sign.venue, sign.kind):
                return ObservedSign(each.at_ms, f"ops:events {each.kind}")
        return None

    def _first_level(self, sign: LevelSign, since_ms: int) -> ObservedSign | None:
        for each in _after(self.health, since_ms):
            level = each.levels.get(sign.component, "")
            if level in sign.levels:
                return ObservedSign(each.at_ms, f"/health {sign.component} {level}")
        return None

    def _first_drop(self, sign: DroppedSign, since_ms: int) -> ObservedSign | None:
        before = [each.dropped for each in self.health if each.at_ms <= since_ms]
        base = before[-1].get(sign.venue, 0.0) if before else 0.0
        for each in _after(self.health, since_ms):
            if each.dropped.get(sign.venue, 0.0) > base:
                return ObservedSign(each.at_ms, "s1_feed_dropped_total")
        return None

    def _all_quoted(self, names: Iterable[InstrumentId], since_ms: int) -> ObservedSign | None:
        last_ms = 0
        for name in names:
            # By ts: what was received before and written after is no sign of life.
            quotes = self.quotes.get(name, ())
            first = next((quote for quote in quotes if quote.ts > since_ms), None)
            if first is None:
                return None
            last_ms = max(last_ms, first.at_ms)
        return ObservedSign(last_ms, "quotes on all streams")


def _after(entries: Sequence[Observation], since_ms: int) -> list[Observation]:
    return [each for each in entries if each.at_ms > since_ms]
