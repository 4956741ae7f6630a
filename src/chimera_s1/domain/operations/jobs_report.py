"""Health of the jobs."""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count

FAILURES_ORANGE = 3

FAILING_GRACE_MS = 60_000
"""The first retries come soon: a short outage of what a job needs is over by then."""


class FailingJob(Struct, frozen=True):
    """Its last run has failed; *failures* in a row."""

    name: str
    failures: int
    sentence: str


class JobsReport(Struct, frozen=True):
    """Attributes:
    jobs: How many there are.
    waiting: Those that cannot run now: they need the store.
    store_problem: Why the store does not answer; empty while it does.
    """

    jobs: int
    failing: tuple[FailingJob, ...] = ()
    waiting: tuple[str, ...] = ()
    store_problem: str = ""

    @property
    def level(self) -> Level:
        if any(each.failures >= FAILURES_ORANGE for each in self.failing):
            return Level.ORANGE
        return Level.YELLOW if self.failing or self.waiting else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return FAILING_GRACE_MS

    @property
    def sentence(self) -> str:
        parts = [
            f"{each.name} failed ({each.failures} in a row): {each.sentence}"
            for each in self.failing
        ]
        if self.waiting:
            parts.append(
                f"{', '.join(self.waiting)}: waiting for the store, which shows which instance "
                f"runs them: {self.store_problem}"
            )
        if not parts:
            return f"{count(self.jobs, 'job')}, none failing"
        return "; ".join(parts)
