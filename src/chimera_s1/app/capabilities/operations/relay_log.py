"""Relay a stored log to Redis with a cursor: in order, at least once.

Redis may lose acknowledged entries in a failover. So the last entries are written again at every
start and after every failure of Redis; consumers drop an `event_id` they have seen.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore

PAGE = 500
POLL_INTERVAL_MS = 2_000.0
OVERLAP = 50
"""Entries that are written again after a start or a failure."""

_E = TypeVar("_E", bound="_Positioned")


class _Positioned(Protocol):
    @property
    def position(self) -> int: ...


class RelayedPage(Struct, frozen=True):
    """Attributes:
    position: Of the last entry that was relayed; None if there was none.
    events: Written to Redis.
    is_full: There may be more.
    """

    position: int | None
    events: int
    is_full: bool


class RelayedLog(Protocol):
    """Each call raises `StoreUnavailableError` if the store does not answer."""

    async def start_before(self, cursor: int) -> int:
        """A position from where at least the last `OVERLAP` entries up to *cursor* are relayed
        again. The relay begins there.
        """
        ...

    async def relay_after(self, position: int) -> RelayedPage:
        """Write the events of the next entries, at most `PAGE`.

        Raises:
            PublisherUnavailableError, ConfigurationError: Redis failed.
        """
        ...


class RelayLog:
    """One instance of all that share the store relays; the lease decides which.

    Args:
        cursor: Its name.
        changes: Notified when this instance has written entries.
    """

    def __init__(
        self,
        log: RelayedLog,
        cursors: CursorStore,
        lease: JobLease,
        *,
        cursor: str,
        clock: Clock,
        changes: ChangeSignal,
        retries: Backoff,
    ) -> None:
        self._log = log
        self._cursors = cursors
        self._lease = lease
        self._cursor = cursor
        self._clock = clock
        self._changes = changes
        self._retries = retries
        self._position: int | None = None
        self.relayed = 0
        """Events written since the start, including repeats."""
        self.last_error = ""
        """Why the relay is behind; empty while it works."""

    async def run(self) -> None:
        """Relay until cancelled; then another instance can."""
        async with self._lease.released_at_end():
            await self._relay()

    async def _relay(self) -> None:
        failures = 0
        while True:
            version = self._changes.version
            try:
                while await self.advance():
                    pass
                failures, wait_ms, self.last_error = 0, POLL_INTERVAL_MS, ""
            except (PublisherUnavailableError, ConfigurationError, StoreUnavailableError) as error:
                self._position, self.last_error = None, str(error)
                wait_ms = self._retries.wait_ms(failures, 0.0)
                failures += 1
            await self._changes.wait_after(self._clock, wait_ms, version=version)

    async def advance(self) -> bool:
        """Relay the next entries. Whether there may be more; False also where another instance
        relays.

        Raises:
            PublisherUnavailableError, ConfigurationError: Redis failed; call again.
            StoreUnavailableError: The store failed; call again.
        """
        if not await self._lease.acquire_or_renew():
            self._position = None
            return False
        if self._position is None:
            self._position = await self._log.start_before(await self._cursors.read(self._cursor))
        page = await self._log.relay_after(self._position)
        self.relayed += page.events
        if page.position is not None:
            self._position = page.position
            await self._cursors.advance(self._cursor, page.position)
        return page.is_full


async def overlap_start(
    cursor: int,
    read: Callable[[int], Awaitable[Sequence[_E]]],
    may_start: Callable[[_E], bool] = lambda _: True,
) -> int:
    """A position with at least `OVERLAP` entries from there to *cursor*; positions may have gaps.

    *read* takes a position and returns the first `OVERLAP` entries beyond it; *may_start* says
    whether an entry may be the first.
    """
    span = OVERLAP
    while (start := cursor - span) > 0:
        found = await read(start)
        whole = len(found) == OVERLAP and found[-1].position <= cursor
        if whole and may_start(found[0]):
            return start
        span *= 10
    return 0
