"""What every benchmark is given: processes to start, a cluster, a report, and how
thorough to be.
"""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from tests.load.report import Report
from tests.load.running import Rig

_Value = TypeVar("_Value")


class Stage(Struct, frozen=True):
    """Attributes:
    rig: Starts processes on their cores.

    redis: The cluster under them, 3 masters.

    report: Takes the tables.

    quick: True for fewer and shorter measurements.
    """

    rig: Rig
    redis: EmbeddedRedis
    report: Report
    quick: bool

    def times(self, full: int) -> int:
        """How often to measure: *full* times, or once where it has to be quick."""
        return 1 if self.quick else full

    def some(self, full: Sequence[_Value]) -> Sequence[_Value]:
        """What to measure: all of it, or the first and the last where it has to be quick."""
        return (full[0], full[-1]) if self.quick else full

    def seconds(self, full: float) -> float:
        """How long to measure at a time."""
        return min(full, 1.0) if self.quick else full
