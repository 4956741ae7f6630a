"""Health levels and components; a report computes its own level and sentence."""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Protocol

from msgspec import Struct


class Level(IntEnum):
    """Level of a component; a higher number is worse."""

    GREEN = 0
    YELLOW = 1
    ORANGE = 2
    RED = 3


class HealthReport(Protocol):
    """State of a component, computed from memory."""

    @property
    def level(self) -> Level:
        """Of this state, as if it had lasted long enough."""
        ...

    @property
    def grace_ms(self) -> float:
        """How long this state may last before its level counts: it may end by itself. 0 where
        waiting costs more than a false alarm.
        """
        ...

    @property
    def sentence(self) -> str:
        """For the operator: the state, and what to do about a problem."""
        ...


class HealthSource(Struct, frozen=True):
    """A component of `/health`.

    Attributes:
        name: `feed.spot`, `redis`; unique.
        report: Current state; must not wait and must not raise.
        required: The service is not ready before it has worked, and while it is RED.
    """

    name: str
    report: Callable[[], HealthReport]
    required: bool


class HealthComponent(Struct, frozen=True):
    """One line of `/health`.

    Attributes:
        name: `feed.spot`, `redis`, `clock.perp`, `loop`.
        since: When the level last changed, local epoch ms.
        detail: The report's sentence, and what its level waits for.
        required: `/ready` answers 503 unless it is ready.
        ready: It has worked since the start, and is not RED.
        lasted_ms: How long the state behind an ORANGE or RED level has lasted.
    """

    name: str
    level: Level
    since: int
    detail: str
    required: bool
    ready: bool
    lasted_ms: float = 0.0


def overall_level(components: Iterable[HealthComponent]) -> Level:
    """The worst level; GREEN without components."""
    return max((component.level for component in components), default=Level.GREEN)


def is_ready(components: Iterable[HealthComponent]) -> bool:
    """True while every required component is ready."""
    return all(component.ready for component in components if component.required)


def tier(value: float, green: float, yellow: float, orange: float) -> Level:
    """The level of a value for which larger is worse; limits are inclusive."""
    if value <= green:
        return Level.GREEN
    if value <= yellow:
        return Level.YELLOW
    return Level.ORANGE if value <= orange else Level.RED


def count(number: int, noun: str) -> str:
    """`1 quote`, `2 quotes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
