"""The states of jobs in memory."""

from collections.abc import Mapping, Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.ports.job_runs import StoredJob


class MemoryJobRuns:
    """Implements `domain.ports.job_runs.JobRuns`."""

    def __init__(self) -> None:
        self._states: dict[str, JobState] = {}
        self._requests: dict[str, str] = {}

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        await checkpoint()
        return {
            name: StoredJob(self._states.get(name), self._requests.get(name, "")) for name in names
        }

    async def write(self, state: JobState) -> bool:
        await checkpoint()
        stored = self._states.get(state.name)
        if stored is not None and stored.version >= state.version:
            return stored == state
        self._states[state.name] = state
        return True

    async def request(self, name: str, request: str) -> None:
        await checkpoint()
        self._requests[name] = request
