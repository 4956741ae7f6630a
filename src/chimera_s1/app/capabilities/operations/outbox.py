"""A bounded queue in memory, written to Redis in order by one worker."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Final, Generic, TypeVar

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherRefusedError,
    PublisherUnavailableError,
)
from chimera_s1.domain.ports.clock import Clock

RETRY_WAIT_MS = 1_000
REFUSALS_MAX: Final = 5
"""A batch that Redis has refused so often is given up; one that cannot reach Redis is not."""

REDIS_ERRORS = (PublisherUnavailableError, ConfigurationError)
"""Errors to retry while the service runs: a changed password can be corrected without a restart."""

_Entry = TypeVar("_Entry")


class Outbox(Generic[_Entry]):
    """Entries that wait for Redis. A full outbox gives up its oldest entry.

    Args:
        write: Writes a batch, all of it or none; raises one of `REDIS_ERRORS`.
        limit: Entries that may wait.
        batch_max: Entries in one call of *write*.
        give_up: Takes entries that are not written, why, and how often they were tried.
    """

    def __init__(
        self,
        write: Callable[[tuple[_Entry, ...]], Awaitable[None]],
        *,
        limit: int,
        batch_max: int,
        give_up: Callable[[tuple[_Entry, ...], str, int], None],
    ) -> None:
        self._write = write
        self._limit = limit
        self._batch_max = batch_max
        self._give_up = give_up
        self._entries: deque[_Entry] = deque()
        self._last_error = "not tried"
        self._refusals = 0
        self._refusing = False
        self.changes = ChangeSignal()
        self.written = 0
        self.dropped = 0
        """Given up because the outbox was full."""
        self.refused = 0
        """Given up because Redis refuses them."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entries: Iterable[_Entry]) -> None:
        """Add *entries*; never waits."""
        self._entries.extend(entries)
        excess = len(self._entries) - self._limit
        if excess > 0:
            oldest = tuple(self._entries.popleft() for _ in range(excess))
            self.dropped += excess
            why = f"{self._limit} entries wait for Redis: {self._last_error}"
            self._give_up(oldest, why, self._refusals)
        self.changes.notify()

    def give_up_all(self) -> None:
        """Give up what waits: the process ends."""
        if self._entries:
            left = tuple(self._entries)
            self._entries.clear()
            self._give_up(left, f"not written before the stop: {self._last_error}", self._refusals)

    async def flush(self) -> None:
        """Write all entries; on an error those not written stay.

        A batch that Redis refuses `REFUSALS_MAX` times is given up; until a batch is taken, so is
        each after it at its first refusal.

        Raises:
            PublisherUnavailableError: Redis cannot be reached, or refuses the batch.
            ConfigurationError: Redis refuses the credentials.
        """
        while self._entries:
            batch = tuple(islice(self._entries, self._batch_max))
            try:
                await self._write(batch)
            except PublisherRefusedError as error:
                self._last_error = str(error)
                self._refusals += 1
                if self._refusals < REFUSALS_MAX and not self._refusing:
                    raise
                self._refusing = True
                left = self._remove(batch)
                self.refused += len(left)
                self._give_up(left, str(error), self._refusals)
            except REDIS_ERRORS as error:
                self._last_error = str(error)
                raise
            else:
                self.written += len(batch)
                self._refusing = False
                self._remove(batch)
            self._refusals = 0

    def _remove(self, batch: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
        """Those of *batch* that were there: a full outbox may have given some up meanwhile."""
        handled = set(map(id, batch))
        removed = []
        while self._entries and id(self._entries[0]) in handled:
            removed.append(self._entries.popleft())
        return tuple(removed)


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
