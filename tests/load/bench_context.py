"""The arguments of every benchmark."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from tests.load.processes import Rig
from tests.load.report import Report

_Value = TypeVar("_Value")


class BenchContext(Struct, frozen=True):
    rig: Rig
    redis: EmbeddedRedis
    report: Report
    quick: bool

    def times(self, full: int) -> int:
        """*full*, or 1 in a quick run."""
        return 1 if self.quick else full

    def some(self, full: Sequence[_Value]) -> Sequence[_Value]:
        """All values, or the first and the last in a quick run."""
        return (full[0], full[-1]) if self.quick else full

    def seconds(self, full: float) -> float:
        """*full*, or at most 1 s in a quick run."""
        return min(full, 1.0) if self.quick else full
