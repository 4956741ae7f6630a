"""Port: what the store knows of the jobs that one instance runs for all."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.operations.job_state import JobState


class StoredJob(Struct, frozen=True):
    """Attributes:
    state: None before the first run.
    request: Id of the last request to run it now; empty before the first one.
    """

    state: JobState | None = None
    request: str = ""


class JobRuns(Protocol):
    """By name of the job; each call raises `StoreUnavailableError` if the store does not answer."""

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        """What is stored of each of *names*."""
        ...

    async def write(self, state: JobState) -> bool:
        """Store *state*. False if another one of the same or a later version is stored: another
        instance has written it.
        """
        ...

    async def request(self, name: str, request: str) -> None:
        """Ask the instance that runs the job *name* to run it now; *request* is a new id."""
        ...
