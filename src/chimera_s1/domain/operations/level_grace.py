"""When a level counts: a bad state must outlast its grace, a good one must last to end it.

| state | level shown |
|---|---|
| ORANGE or RED, within its grace | YELLOW |
| ORANGE or RED, longer than its grace | its own |
| better again, for less than the settle time | the worse one, still |

A bad state that returns within the settle time is the same one: its grace is not granted again.
YELLOW needs no operator now, so it never waits.
"""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level

GRACE_MAX_MS = 60_000
"""Longer than any grace that a report states."""
SETTLE_MS = 5_000
"""How long a component must be better before its level is lowered."""


class GraceLimit(Struct, frozen=True):
    """Attributes:
    max_ms: No grace and no settle time is longer; 0 shows every level at once.
    """

    max_ms: float = GRACE_MAX_MS

    def grace_ms(self, stated_ms: float) -> float:
        return min(stated_ms, self.max_ms)

    @property
    def settle_ms(self) -> float:
        return min(SETTLE_MS, self.max_ms)


class SeenState(Struct, frozen=True):
    """A component's state at one time of the monotonic clock, and the grace its report states."""

    level: Level
    grace_ms: float
    at_ms: float


class _Spell(Struct, frozen=True):
    """A time for which the state was at least as bad as *level*.

    Attributes:
        due_ms: When its level counts.
        last_ms: When it was last seen to be so.
    """

    level: Level
    began_ms: float
    due_ms: float
    last_ms: float

    @property
    def counts(self) -> bool:
        return self.last_ms >= self.due_ms


class SettledLevel(Struct, frozen=True):
    """The level of one component, from its states over time.

    Attributes:
        level: To be shown.
        worked: The state was better than RED at least once since the start.
    """

    level: Level = Level.GREEN
    worked: bool = False
    spells: tuple[_Spell, ...] = ()

    @property
    def ready(self) -> bool:
        """False until it has worked: a component that starts is YELLOW, and not ready."""
        return self.worked and self.level is not Level.RED

    @property
    def lasted_ms(self) -> float:
        """How long the state behind `level` has lasted; 0 below ORANGE."""
        behind = (spell for spell in self.spells if spell.counts and spell.level is self.level)
        return max((spell.last_ms - spell.began_ms for spell in behind), default=0.0)

    def after(self, seen: SeenState, limit: GraceLimit) -> "SettledLevel":
        started = not self.worked and seen.level is not Level.RED
        # A start that succeeded is no loss: the next one has its whole grace.
        kept = (spell for spell in self.spells if spell.counts or not started)
        known = {spell.level: spell for spell in kept}
        spells = tuple(
            spell
            for level in (Level.ORANGE, Level.RED)
            if (spell := _continued(level, known.get(level), seen, limit))
        )
        counting = (spell.level for spell in spells if spell.counts)
        return SettledLevel(
            level=max((min(seen.level, Level.YELLOW), *counting)),
            worked=self.worked or seen.level is not Level.RED,
            spells=spells,
        )


def describe_waiting(settled: SettledLevel, seen: SeenState, limit: GraceLimit) -> str:
    """What the shown level waits for; empty if it is that of the state."""
    if seen.level > settled.level:
        return f"{seen.level.name} if it lasts {limit.grace_ms(seen.grace_ms) / 1000:g} s"
    if seen.level < settled.level:
        return f"{settled.level.name} until it has been better for {limit.settle_ms / 1000:g} s"
    return ""


def _continued(
    level: Level, spell: _Spell | None, seen: SeenState, limit: GraceLimit
) -> _Spell | None:
    """*spell* of *level* after *seen*; None if there is none, or it is over."""
    if seen.level < level:
        over = spell is None or seen.at_ms - spell.last_ms >= limit.settle_ms
        return None if over else spell
    due_ms = seen.at_ms + limit.grace_ms(seen.grace_ms)
    if spell is None:
        return _Spell(level, began_ms=seen.at_ms, due_ms=due_ms, last_ms=seen.at_ms)
    # Another cause may shorten the grace, and never extends it.
    return _Spell(level, spell.began_ms, min(spell.due_ms, due_ms), seen.at_ms)
