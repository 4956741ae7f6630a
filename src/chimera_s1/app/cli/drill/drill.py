"""A drill: its faults, the signs of detection and recovery, and its targets."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.app.cli.drill.signs import AnySign

PAUSE_MS = 3_000
"""How long a paused Redis does not answer."""


class SimulatedFault(Struct, frozen=True):
    """The body of `POST /sim/faults`."""

    on: str
    do: str
    times: int | None = None
    for_ms: int = 0


class RedisFault(StrEnum):
    """Injected into the demo's own Redis servers."""

    SHUTDOWN = "shutdown"
    PAUSE = "pause"


Fault: TypeAlias = SimulatedFault | RedisFault


class DrillThresholds(Struct, frozen=True):
    """The worst allowed measurements; None allows any. See `Measurements` for their units."""

    noticed_s: float | None = None
    over_s: float | None = None
    missing: int | None = None
    lost: int | None = None
    mistimed: int = 0
    late_ms: float | None = None


class Drill(Struct, frozen=True):
    """One scenario.

    Attributes:
        fault: In words.
        noticed_signs: Each group has to be observed; the last one counts.
        over_signs: The same, after detection.
        affected_symbol: Only this symbol may miss windows; empty where all may.
        age_max_ms: A quote older than this when it is written has a wrong ts.
        over_from_recovery: `over_s` counts from the moment Redis answers again.
    """

    name: str
    fault: str
    faults: tuple[Fault, ...]
    noticed_signs: tuple[AnySign, ...]
    over_signs: tuple[AnySign, ...]
    targets: DrillThresholds
    affected_symbol: str = ""
    age_max_ms: int = 6_000
    over_from_recovery: bool = False

    @property
    def duration_ms(self) -> int:
        """How long the longest fault lasts; 0 for momentary ones."""
        lasting = (each.for_ms for each in self.faults if isinstance(each, SimulatedFault))
        return max(lasting, default=0)

    @property
    def needs_own_redis(self) -> bool:
        """Whether it breaks Redis, which is allowed for a demo's own only."""
        return any(isinstance(fault, RedisFault) for fault in self.faults)
