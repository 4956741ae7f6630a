"""Health report of the funding history."""

from typing import Final

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.operations.schedule import HOUR_MS, MINUTE_MS

BEHIND_MS: Final = 2 * HOUR_MS
"""A settlement is read soon after it happened, and what is proven trails by less than this."""

FIRST_READ_GRACE_MS: Final = 30_000


class FundingReport(Struct, frozen=True, kw_only=True):
    """Nothing here is RED: quotes and transfers do not depend on it.

    Attributes:
        behind_ms: How far what is proven trails the exchange's time; None before the first read.
        missing_days: Of the history that is kept complete, before what is proven.
        gaps: Settlements that the last search found missing; None before the first search here.
        new_disputes: Found within a day: a person must look at them.
        disputes: All that are kept.
        waiting: Settlements that have happened, and whose rates are not published yet.
        amounts_problem: Why amounts are not complete; empty if they are.
        refused: Records that the store refuses for good.
        store_problem: Why the stored history cannot be read; empty if it can.
        relay_problem: Why records are not written to their streams; empty if they are.
    """

    behind_ms: float | None
    missing_days: int = 0
    gaps: int | None = None
    new_disputes: int = 0
    disputes: int = 0
    waiting: int = 0
    amounts_problem: str = ""
    refused: int = 0
    store_problem: str = ""
    relay_problem: str = ""

    @property
    def level(self) -> Level:
        if self.new_disputes or self.refused:
            return Level.ORANGE
        incomplete = (
            self.behind_ms is None or self.behind_ms > BEHIND_MS or self.missing_days or self.gaps
        )
        problem = self.amounts_problem or self.store_problem or self.relay_problem
        return Level.YELLOW if incomplete or problem else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """YELLOW does not wait, and a person must look at the rest."""
        return 0

    @property
    def sentence(self) -> str:
        return "; ".join([self._proven, *self._remarks()])

    @property
    def _proven(self) -> str:
        if self.behind_ms is None:
            return "no funding history yet: chimera-s1 jobs list says what funding.backfill does"
        text = f"settlements are complete until {self.behind_ms / MINUTE_MS:.0f} min ago"
        if self.behind_ms > BEHIND_MS:
            return f"{text}: chimera-s1 jobs list says why funding.settlements reads no further"
        return text

    def _remarks(self) -> list[str]:
        remarks = (
            (
                self.missing_days,
                f"{count(self.missing_days, 'day')} left to read: funding.backfill",
            ),
            (self.gaps, f"{count(self.gaps or 0, 'gap')}: chimera-s1 funding gaps lists them"),
            (self.new_disputes, self._disputed),
            (self.waiting, f"{count(self.waiting, 'settlement')} not published yet"),
            (self.amounts_problem, f"amounts: {self.amounts_problem}"),
            (
                self.refused,
                f"the store refuses {count(self.refused, 'record')}: the log says why",
            ),
            (self.store_problem, f"the stored history cannot be read: {self.store_problem}"),
            (self.relay_problem, f"records do not reach their streams: {self.relay_problem}"),
        )
        return [text for applies, text in remarks if applies]

    @property
    def _disputed(self) -> str:
        return (
            f"{count(self.new_disputes, 'new dispute')}, {self.disputes} in all: the exchange "
            "changed what it had published; compare, chimera-s1 funding gaps lists them"
        )
