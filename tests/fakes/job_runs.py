"""The states of jobs in memory, unavailable on demand."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.ports.job_runs import StoredJob


class FaultyJobRuns(MemoryJobRuns):
    """`unavailable` makes every call fail until it is reset; a write takes as long as
    `before_write` does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unavailable = False
        self.before_write: Callable[[], Awaitable[object]] = checkpoint

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        await self._check()
        return await super().read(names)

    async def write(self, state: JobState) -> bool:
        await self._check()
        await self.before_write()
        return await super().write(state)

    async def request(self, name: str, request: str) -> None:
        await self._check()
        await super().request(name, request)

    async def _check(self) -> None:
        if self.unavailable:
            await checkpoint()
            raise StoreUnavailableError("store unavailable")
