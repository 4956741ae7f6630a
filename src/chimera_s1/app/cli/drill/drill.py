"""What a drill is: a fault, the signs by which it is noticed and seen to be over, and
its targets.
"""

from enum import StrEnum

from msgspec import Struct

PAUSE_MS = 3_000
"""How long a paused Redis answers nothing."""


class SimulatedFault(Struct, frozen=True):
    """Armed by `POST /sim/faults`; attributes as there."""

    on: str
    do: str
    times: int | None = None
    for_ms: int = 0


class RedisFault(StrEnum):
    """Done to the demo's own Redis servers."""

    SHUTDOWN = "shutdown"
    PAUSE = "pause"


Fault = SimulatedFault | RedisFault


class StatusSign(Struct, frozen=True):
    """An entry of `mkt:status:<venue>` with one of *states*; without a *symbol* it may be
    anybody's.
    """

    venue: str
    states: tuple[str, ...]
    symbol: str = ""


class OperationsSign(Struct, frozen=True):
    """An entry of `ops:events` of *kind* about a connection of *venue*."""

    venue: str
    kind: str


class LevelSign(Struct, frozen=True):
    """The component's level in `/health` is one of *levels*."""

    component: str
    levels: tuple[str, ...]


class DroppedSign(Struct, frozen=True):
    """`s1_feed_dropped_total` of *venue* has grown."""

    venue: str


class QuotesSign(Struct, frozen=True):
    """Every instrument of *venue* that published before does so again; empty for both venues."""

    venue: str = ""


Sign = StatusSign | OperationsSign | LevelSign | DroppedSign | QuotesSign
AnySign = tuple[Sign, ...]
"""The first of them counts."""


class DrillThresholds(Struct, frozen=True):
    """What has to be reached; None asks for nothing.

    Attributes:
        noticed_s: Seconds from the fault's begin.

        over_s: Seconds from the fault's begin, or from Redis being back.

        missing: Windows without a quote, of the instrument that lacks most.

        lost: Connections lost.

        mistimed: Quotes with a ts that does not fit, of the instrument that has most.

        late_ms: From a window's end to the entry, 99th percentile.
    """

    noticed_s: float | None = None
    over_s: float | None = None
    missing: int | None = None
    lost: int | None = None
    mistimed: int = 0
    late_ms: float | None = None


class Drill(Struct, frozen=True):
    """One row of the table.

    Attributes:
        fault: In words.

        noticed_signs: Each of these has to be seen; the last one counts.

        over_signs: The same, after the notice.

        affected_symbol: Instruments of this symbol are the fault's own; all others must not notice.
            Empty where everybody may.

        age_max_ms: A quote whose ts is older than this when it is written has a wrong ts.

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
        """How long its longest fault lasts; 0 where they happen at one moment."""
        lasting = (each.for_ms for each in self.faults if isinstance(each, SimulatedFault))
        return max(lasting, default=0)

    @property
    def needs_own_redis(self) -> bool:
        """Whether it does something to Redis that only a demo's own may suffer."""
        return any(isinstance(fault, RedisFault) for fault in self.faults)
