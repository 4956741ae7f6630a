"""Relay a ledger's events to Redis streams: in order, at least once.

Redis may lose acknowledged entries in a failover. So the relay writes the last minute or two of
entries again after every start, after every Redis failure, and when the newest entry of a
stream is gone, however old the events are. Consumers drop an `event_id` they have seen.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from chimera_s1.app.capabilities.ledger.engine import (
    LedgerEngine,
    shorter_than_relayed,
    verify_entries,
)
from chimera_s1.domain.errors import (
    ConfigurationError,
    LedgerDamagedError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, RecordedEvent
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore

READ_BATCH_SIZE = 100
POLL_INTERVAL_MS = 500.0
DEBOUNCE_MS = 20.0
"""Saving the cursor is one disk write, for one commit or for many."""

SAFE_AFTER_MS = 60_000
"""Entries that Redis has held this long are taken to survive a failover."""

LOSS_CHECK_INTERVAL_MS = 1_000.0
OVERLAP_COMMITS = 1_000
"""At most this many commits are relayed again."""

_log = logging.getLogger(__name__)


class RelaySink(Protocol):
    """Where a ledger's events go. Both calls raise `PublisherUnavailableError`, or
    `ConfigurationError` where Redis refuses our credentials.
    """

    async def write(self, commit: Commit, record: RecordedEvent) -> Sequence[RelayedEntry]:
        """Append the entries of an event, which may be none, to their streams.

        Raises:
            StoreUnavailableError, LedgerDamagedError: What the entry needs cannot be read.
        """
        ...

    async def contains(self, entry: RelayedEntry) -> bool:
        """Whether its stream holds the entry, or has trimmed it."""
        ...


async def always_mine() -> bool:
    return True


class LedgerRelay:
    """Args:
    cursor_name: The cursor of this ledger; several ledgers can share a stream.
    retries: Waits between tries while Redis or the store is unavailable.
    is_mine: Whether this instance relays; raises `StoreUnavailableError`. Without it, instances
        that share the ledger each write every entry.
    """

    def __init__(
        self,
        store: EventStore,
        cursors: CursorStore,
        sink: RelaySink,
        ledger: LedgerEngine,
        *,
        cursor_name: str,
        clock: Clock,
        retries: Backoff,
        is_mine: Callable[[], Awaitable[bool]] = always_mine,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._sink = sink
        self._ledger = ledger
        self._cursor = cursor_name
        self._safe_cursor = f"{cursor_name}/settled"
        self._clock = clock
        self._retries = retries
        self._is_mine = is_mine
        self._seq: int | None = None
        self._saved_seq = 0
        self._safe_seq = 0
        self._safe_candidate: tuple[float, int] | None = None
        self._newest: dict[str, RelayedEntry] = {}
        self._loss_checked_ms = 0.0
        self.events_relayed = 0
        """Since the start, including repeats."""
        self.last_error = ""
        """Why the relay is behind; empty while it works."""

    async def run(self) -> None:
        failures = 0
        while True:
            version = self._ledger.changes.version
            try:
                await self._relay_new()
                failures, self.last_error = 0, ""
                await self._ledger.changes.wait_after(
                    self._clock, POLL_INTERVAL_MS, version=version, debounce_ms=DEBOUNCE_MS
                )
            except (PublisherUnavailableError, ConfigurationError) as error:
                # Entries acknowledged before may be lost with the node.
                self._seq = self._safe_candidate = None
                failures = await self._back_off(error, failures)
            except (StoreUnavailableError, LedgerDamagedError) as error:
                # Redis still has its entries. Repeating them while a cursor cannot be saved would
                # push everything else out of the stream.
                failures = await self._back_off(error, failures)

    async def _relay_new(self) -> None:
        if not await self._is_mine():
            self._seq = None
            return
        while await self.advance() == READ_BATCH_SIZE and await self._is_mine():
            pass

    async def _back_off(self, error: Exception, failures: int) -> int:
        self.last_error = str(error)
        await self._clock.sleep_ms(self._retries.wait_ms(failures, 0.0))
        return failures + 1

    async def advance(self) -> int:
        """Relay the next commits and return their number; 0 at the head.

        Raises:
            PublisherUnavailableError, ConfigurationError: Redis failed; call again.
            StoreUnavailableError, LedgerDamagedError: The ledger failed; call again.
        """
        if self._seq is None or await self._entries_lost():
            self._safe_candidate = None
            self._seq = await self._starting_seq()
        entries = await self._store.read(self._seq, READ_BATCH_SIZE)
        for entry in entries:
            self._verify(entry)
            await self._relay(entry.commit)
            self._seq = entry.commit.seq
        if self._seq > self._saved_seq:
            await self._cursors.advance(self._cursor, self._seq)
            self._saved_seq = self._seq
        await self._advance_safe_cursor(self._seq)
        return len(entries)

    def _verify(self, entry: LedgerEntry) -> None:
        try:
            verify_entries((entry,))
        except LedgerDamagedError as error:
            self._ledger.mark_damaged(str(error))
            raise

    async def _entries_lost(self) -> bool:
        """Whether Redis has lost the newest entry of a stream in a failover that no call failed on;
        checked until all entries count as safe. Streams may be on different nodes.
        """
        now_ms = self._clock.monotonic_ms()
        if not self._newest or now_ms - self._loss_checked_ms < LOSS_CHECK_INTERVAL_MS:
            return False
        self._loss_checked_ms = now_ms
        for entry in self._newest.values():
            if not await self._sink.contains(entry):
                _log.warning(
                    "%s lost acknowledged entries (failover); relaying the last minute again",
                    entry.stream,
                )
                self._newest.clear()
                return True
        return False

    async def _advance_safe_cursor(self, seq: int) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._safe_candidate is not None:
            since_ms, safe_seq = self._safe_candidate
            if now_ms - since_ms < SAFE_AFTER_MS:
                return
            if safe_seq > self._safe_seq:
                await self._cursors.advance(self._safe_cursor, safe_seq)
                self._safe_seq = safe_seq
            if self._safe_seq >= seq:
                self._newest.clear()
        self._safe_candidate = now_ms, seq

    async def _relay(self, commit: Commit) -> None:
        for record in commit.events:
            entries = await self._sink.write(commit, record)
            self._newest.update({entry.stream: entry for entry in entries})
            self.events_relayed += bool(entries)

    async def _starting_seq(self) -> int:
        """The safe cursor: somewhat before the commit that was relayed last."""
        self._saved_seq = relayed_seq = await self._cursors.read(self._cursor)
        head = await self._store.head()
        if relayed_seq > head.seq:
            self._ledger.mark_damaged(shorter_than_relayed(head, relayed_seq))
        self._safe_seq = await self._cursors.read(self._safe_cursor)
        return max(self._safe_seq, relayed_seq - OVERLAP_COMMITS)
