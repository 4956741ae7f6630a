"""Health report of the dead letters."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count

LOSS_SHOWN_MS: Final = 24 * 3_600_000.0
_HANDLE = "chimera-s1 dead-letters list shows them, replay delivers and drop deletes one"


class DeadLettersReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    counts: Letters in each place; None where a place was not read yet.

    limit: Letters that a place keeps.

    waiting: Letters in memory: no place takes them now.

    lost: Letters dropped at a bound since the start.

    lost_ago_ms: Since the last loss; None without one.

    problems: Why a place cannot be used.
    """

    counts: Mapping[str, int | None]
    limit: int
    waiting: int = 0
    lost: int = 0
    lost_ago_ms: float | None = None
    problems: Mapping[str, str] = {}

    @property
    def level(self) -> Level:
        lost = self.lost_ago_ms is not None and self.lost_ago_ms < LOSS_SHOWN_MS
        full = any((kept or 0) >= self.limit for kept in self.counts.values())
        if lost or full or (self.waiting and len(self.problems) == len(self.counts)):
            return Level.ORANGE
        return Level.YELLOW if self.waiting or any(self.counts.values()) else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0

    @property
    def sentence(self) -> str:
        kept = {place: number for place, number in self.counts.items() if number}
        parts = [f"{count(number, 'letter')} in {place}" for place, number in kept.items()]
        if self.waiting:
            parts.append(f"{count(self.waiting, 'letter')} in memory, lost at a stop")
        if any(number >= self.limit for number in kept.values()):
            parts.append(f"a place keeps {self.limit}: each new letter drops the oldest one")
        if self.lost:
            parts.append(f"{count(self.lost, 'letter')} lost since the start, see the log")
        if kept:
            parts.append(_HANDLE)
        parts += [f"{place}: {problem}" for place, problem in self.problems.items()]
        return "; ".join(parts) or "none"
