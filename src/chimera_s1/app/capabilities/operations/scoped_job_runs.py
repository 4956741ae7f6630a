"""States of the jobs of some of the instances that share a store."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import structs

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.ports.job_runs import JobRuns, StoredJob


def job_scope(venues: Collection[Venue]) -> str:
    """Instances of one scope run each other's jobs; empty for those that serve every venue."""
    return "" if {*venues} == {*Venue} else "+".join(sorted(venues))


def job_runs_of(runs: JobRuns, venues: Collection[Venue]) -> JobRuns:
    """What instances that serve the same *venues* share."""
    scope = job_scope(venues)
    return ScopedJobRuns(runs, scope) if scope else runs


class ScopedJobRuns:
    """Implements `domain.ports.job_runs.JobRuns` over *runs*, where each name ends with *scope*."""

    def __init__(self, runs: JobRuns, scope: str) -> None:
        self._runs = runs
        self._suffix = f".{scope}"

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        stored = await self._runs.read([self._scoped(name) for name in names])
        return {name: _renamed(stored[self._scoped(name)], name) for name in names}

    async def write(self, state: JobState) -> bool:
        return await self._runs.write(structs.replace(state, name=self._scoped(state.name)))

    async def request(self, name: str, request: str) -> None:
        await self._runs.request(self._scoped(name), request)

    def _scoped(self, name: str) -> str:
        return f"{name}{self._suffix}"


def _renamed(stored: StoredJob, name: str) -> StoredJob:
    if stored.state is None:
        return stored
    return structs.replace(stored, state=structs.replace(stored.state, name=name))
