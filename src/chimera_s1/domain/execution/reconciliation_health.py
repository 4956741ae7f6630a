"""The health report of the reconciliation."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.domain.execution.reconciliation import Difference
from chimera_s1.domain.execution.reconciliation_report import Reconciliation
from chimera_s1.domain.operations.health import Level, count

OLD_MS = 300_000
"""Five rounds have ended without a complete one."""

PROBLEM_GRACE_MS = 30_000
"""A read that failed once is repeated sooner."""

SHOWN_MAX = 3


class ReconciliationReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    last: The last round; None before the first.
    age_ms: Since the last round that read everything, or since the start.
    adopted: Unexplained positions of the last hour: their quantity was adopted.
    """

    last: Reconciliation | None
    age_ms: float
    adopted: tuple[Difference, ...] = ()

    @property
    def level(self) -> Level:
        """ORANGE: something stays different, or nothing was read for 5 min; YELLOW: a problem."""
        if self._differences or self.age_ms > OLD_MS:
            return Level.ORANGE
        return Level.YELLOW if self.last is None or self.last.problems else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0 if self._differences else PROBLEM_GRACE_MS

    @property
    def sentence(self) -> str:
        return "; ".join(self._parts())

    @property
    def _differences(self) -> tuple[Difference, ...]:
        left = () if self.last is None else self.last.differences
        return tuple(dict.fromkeys((*self.adopted, *left)))

    def _parts(self) -> Iterator[str]:
        if self.last is None:
            yield "the account has not been compared with the ledger yet"
            return
        yield self.last.sentence if self.last.problems else self._counts(self.last)
        if self.age_ms > OLD_MS:
            yield f"no complete comparison for {self.age_ms / 1000:.0f} s"
        shown = self._differences[:SHOWN_MAX]
        yield from (each.text for each in shown)
        if len(self._differences) > len(shown):
            rest = count(len(self._differences) - len(shown), "more difference")
            yield f"{rest}: chimera-s1 reconcile"

    def _counts(self, last: Reconciliation) -> str:
        matched = sum(len(venue.matched) for venue in last.venues)
        foreign = sum(len(venue.foreign) for venue in last.venues)
        return f"{count(matched, 'open order')} of ours matched, {foreign} foreign"
