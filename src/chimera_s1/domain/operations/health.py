"""Health: how far each part of the service can be trusted.

A report computes its own level and sentence; the classes of reports live with what they report on.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Protocol

from msgspec import Struct


class Level(IntEnum):
    """How much a component can be trusted; a higher number is worse."""

    GREEN = 0
    YELLOW = 1
    ORANGE = 2
    RED = 3


class HealthReport(Protocol):
    """What a component says about itself, from memory."""

    @property
    def level(self) -> Level: ...

    @property
    def sentence(self) -> str:
        """For the operator on call: what is so, and what to do where all is not well."""
        ...


class HealthSource(Struct, frozen=True):
    """A component of `/health`.

    Attributes:
        name: `feed.spot`, `redis`; unique.
        report: Its state now; must not wait and must not raise.
        required: While RED, the service is not ready.
    """

    name: str
    report: Callable[[], HealthReport]
    required: bool


class HealthComponent(Struct, frozen=True):
    """One line of `/health`.

    Attributes:
        name: `feed.spot`, `redis`, `clock.perp`, `loop`.
        since: When the level became this, local epoch ms.
        detail: The report's sentence.
        required: RED makes `/ready` answer 503.
    """

    name: str
    level: Level
    since: int
    detail: str
    required: bool


def overall_level(components: Iterable[HealthComponent]) -> Level:
    """The worst level of all; GREEN where there is no component."""
    return max((component.level for component in components), default=Level.GREEN)


def is_ready(components: Iterable[HealthComponent]) -> bool:
    """True while no required component is RED."""
    return not any(component.required and component.level is Level.RED for component in components)


def tier(value: float, green: float, yellow: float, orange: float) -> Level:
    """The level of a value that is worse the larger it is; each limit is the last of its level."""
    if value <= green:
        return Level.GREEN
    if value <= yellow:
        return Level.YELLOW
    return Level.ORANGE if value <= orange else Level.RED


def count(number: int, noun: str) -> str:
    """`1 quote`, `2 quotes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
