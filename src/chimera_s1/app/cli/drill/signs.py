"""The signs by which a fault is detected and seen to be over."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

from msgspec import Struct

from chimera_s1.app.cli.drill.observations import (
    Observations,
    ObservedHealth,
    ObservedOperation,
    ObservedStatus,
)
from chimera_s1.domain.identifiers import InstrumentId

Observation = TypeVar("Observation", ObservedStatus, ObservedOperation, ObservedHealth)


class ObservedSign(Struct, frozen=True):
    """When a sign was first observed, and where."""

    at_ms: int
    by: str


class StatusSign(Struct, frozen=True):
    """`mkt:status:<venue>` has an entry with one of *states*; an empty *symbol* matches all."""

    venue: str
    states: tuple[str, ...]
    symbol: str = ""

    def find(
        self, seen: Observations, since_ms: int, _names: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        for each in _after(seen.status, since_ms):
            matches = each.venue == self.venue and self.symbol in {"", each.symbol}
            if matches and each.state in self.states:
                return ObservedSign(each.at_ms, f"mkt:status:{each.venue} {each.state}")
        return None


class OperationsSign(Struct, frozen=True):
    """`ops:events` has an entry of *kind* about a connection of *venue*."""

    venue: str
    kind: str

    def find(
        self, seen: Observations, since_ms: int, _names: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        for each in _after(seen.operations, since_ms):
            if (each.venue, each.kind) == (self.venue, self.kind):
                return ObservedSign(each.at_ms, f"ops:events {each.kind}")
        return None


class LevelSign(Struct, frozen=True):
    """`/health` shows one of *levels* for *component*."""

    component: str
    levels: tuple[str, ...]

    def find(
        self, seen: Observations, since_ms: int, _names: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        for each in _after(seen.health, since_ms):
            level = each.levels.get(self.component, "")
            if level in self.levels:
                return ObservedSign(each.at_ms, f"/health {self.component} {level}")
        return None


class DroppedSign(Struct, frozen=True):
    """`s1_feed_dropped_total` of *venue* has grown."""

    venue: str

    def find(
        self, seen: Observations, since_ms: int, _names: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        before = [each.dropped for each in seen.health if each.at_ms <= since_ms]
        base = before[-1].get(self.venue, 0.0) if before else 0.0
        for each in _after(seen.health, since_ms):
            if each.dropped.get(self.venue, 0.0) > base:
                return ObservedSign(each.at_ms, "s1_feed_dropped_total")
        return None


class QuotesSign(Struct, frozen=True):
    """Every instrument of *venue* (empty: of both) that was stable has published again."""

    venue: str = ""

    def find(
        self, seen: Observations, since_ms: int, names: Sequence[InstrumentId]
    ) -> ObservedSign | None:
        last_ms = 0
        for name in names:
            if self.venue not in {"", name.venue.value}:
                continue
            # By ts: a quote received before the fault and written after it proves nothing.
            quotes = seen.quotes.get(name, ())
            first = next((quote for quote in quotes if quote.ts > since_ms), None)
            if first is None:
                return None
            last_ms = max(last_ms, first.at_ms)
        return ObservedSign(last_ms, "quotes on all streams")


Sign: TypeAlias = StatusSign | OperationsSign | LevelSign | DroppedSign | QuotesSign
AnySign: TypeAlias = tuple[Sign, ...]
"""Alternatives: the first one observed counts."""


def find_signs(
    seen: Observations, groups: Iterable[AnySign], since_ms: int, names: Sequence[InstrumentId]
) -> ObservedSign | None:
    """The last of the first signs of each of *groups*; None until each group has one."""
    firsts: list[ObservedSign] = []
    for group in groups:
        found = [sign.find(seen, since_ms, names) for sign in group]
        known = [each for each in found if each is not None]
        if not known:
            return None
        firsts.append(min(known, key=lambda each: each.at_ms))
    return max(firsts, key=lambda each: each.at_ms, default=None)


def _after(entries: Sequence[Observation], since_ms: int) -> list[Observation]:
    return [each for each in entries if each.at_ms > since_ms]
