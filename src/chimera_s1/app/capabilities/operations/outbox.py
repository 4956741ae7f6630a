"""A bounded queue in memory, written to Redis in order by one worker."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.ports.clock import Clock

RETRY_WAIT_MS = 1_000
REDIS_ERRORS = (PublisherUnavailableError, ConfigurationError)
"""Errors to retry while the service runs: a changed password can be corrected without a restart."""

_Entry = TypeVar("_Entry")


class Outbox(Generic[_Entry]):
    """Entries that wait for Redis. A full outbox drops its oldest entry.

    Args:
        write: Writes a batch, all of it or none; raises one of `REDIS_ERRORS`.
        limit: Entries that may wait.
        batch_max: Entries in one call of *write*.
    """

    def __init__(
        self,
        write: Callable[[tuple[_Entry, ...]], Awaitable[None]],
        *,
        limit: int,
        batch_max: int,
    ) -> None:
        self._write = write
        self._limit = limit
        self._batch_max = batch_max
        self._entries: deque[_Entry] = deque()
        self.changes = ChangeSignal()
        self.written = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entries: Iterable[_Entry]) -> None:
        """Add *entries*; never waits."""
        self._entries.extend(entries)
        while len(self._entries) > self._limit:
            self._entries.popleft()
            self.dropped += 1
        self.changes.notify()

    async def flush(self) -> None:
        """Write all entries; on an error those not written stay.

        Raises:
            PublisherUnavailableError: Redis cannot be reached.
            ConfigurationError: Redis refuses the credentials.
        """
        while self._entries:
            batch = tuple(islice(self._entries, self._batch_max))
            await self._write(batch)
            self.written += len(batch)
            self._remove(batch)

    def _remove(self, batch: tuple[_Entry, ...]) -> None:
        # Not by number: a full outbox may have dropped some of the batch meanwhile.
        written = set(map(id, batch))
        while self._entries and id(self._entries[0]) in written:
            self._entries.popleft()


async def flush_on_change(
    changes: ChangeSignal, flush: Callable[[], Awaitable[None]], clock: Clock
) -> None:
    """Call *flush* after each change until cancelled; retry while Redis is unavailable."""
    while True:
        version = changes.version
        try:
            await flush()
        except REDIS_ERRORS:
            await clock.sleep_ms(RETRY_WAIT_MS)
        else:
            await changes.next_after(version)
