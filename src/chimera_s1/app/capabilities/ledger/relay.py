"""Relay the ledger: every event of it onto `ops:events`, in order, at least once.

What Redis has acknowledged it may still lose in a failover, so after any failure of Redis, whenever
its newest entry is not where it was, and at every start, what was written in the last minute or two
is written again, however old the events are; consumers drop an `event_id` they have seen.

Each entry carries its place in the ledger and the hash there: whoever keeps them can tell later
whether the ledger was cut or rewritten.
"""

import logging
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from chimera_s1.app.capabilities.treasury.transfer_streams import verify_entries
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import (
    ConfigurationError,
    LedgerDamagedError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import Commit, RecordedEvent
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.operations_log import OperationsEvent, OperationsLog

RELAY_CURSOR = "ops:events"
READ_BATCH_SIZE = 100
POLL_INTERVAL_MS = 500.0
DEBOUNCE_MS = 20.0
"""What a few commits cost, one does too: a write to the disk."""

SAFE_CURSOR = "ops:events/settled"
"""The cursor up to where what Redis has acknowledged is believed to be safe."""

SAFE_AFTER_MS = 60_000
LOSS_CHECK_INTERVAL_MS = 1_000.0
OVERLAP_COMMITS = 1_000
"""No more than this is written again."""

_log = logging.getLogger(__name__)


class RelayLedger:
    """Args:
    store: The ledger.

    cursors: Up to where it was relayed.

    operations: Where the events go.

    ledger: Rings when there is something new; told when the ledger is shorter than it was.

    clock: Time and waiting.

    retries: Waits between tries while Redis is away.
    """

    def __init__(
        self,
        store: EventStore,
        cursors: CursorStore,
        operations: OperationsLog,
        ledger: TreasuryLedger,
        *,
        clock: Clock,
        retries: Backoff,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._operations = operations
        self._ledger = ledger
        self._clock = clock
        self._retries = retries
        self._seq: int | None = None
        self._saved_seq = 0
        self._safe_seq = 0
        self._safe_candidate: tuple[float, int] | None = None
        self._newest_entry_id = ""
        self._loss_checked_ms = 0.0
        self.events_relayed = 0
        """Events written since the start, repeated ones included."""
        self.last_error = ""
        """Why it lags; empty while it does not."""

    async def run(self) -> None:
        """Relay until cancelled."""
        failures = 0
        while True:
            rung = self._ledger.changes.version
            try:
                while await self.advance() == READ_BATCH_SIZE:
                    pass
                failures, self.last_error = 0, ""
                await self._ledger.changes.wait_after(
                    self._clock, POLL_INTERVAL_MS, version=rung, debounce_ms=DEBOUNCE_MS
                )
            except (PublisherUnavailableError, ConfigurationError) as error:
                # What was acknowledged before may be lost with the node.
                self._seq = self._safe_candidate = None
                failures = await self._back_off(error, failures)
            except (StoreUnavailableError, LedgerDamagedError) as error:
                # What was written is there: again and again it would push all else out of the
                # stream for as long as a cursor cannot be kept.
                failures = await self._back_off(error, failures)

    async def _back_off(self, error: Exception, failures: int) -> int:
        self.last_error = str(error)
        await self._clock.sleep_ms(self._retries.wait_ms(failures, 0.0))
        return failures + 1

    async def advance(self) -> int:
        """Relay the next commits; how many, 0 when there are none.

        Raises:
            PublisherUnavailableError, ConfigurationError: Redis; call again.

            StoreUnavailableError, LedgerDamagedError: The ledger; call again.
        """
        if self._seq is None or await self._entries_lost():
            self._safe_candidate = None
            self._seq = await self._starting_seq()
        entries = await self._store.read(self._seq, READ_BATCH_SIZE)
        for entry in entries:
            verify_entries((entry,))
            await self._relay(entry.commit)
            self._seq = entry.commit.seq
        if self._seq > self._saved_seq:
            await self._cursors.advance(RELAY_CURSOR, self._seq)
            self._saved_seq = self._seq
        await self._advance_safe_cursor(self._seq)
        return len(entries)

    async def _entries_lost(self) -> bool:
        """The newest entry is gone: a failover that no call failed on. Asked now and then, until
        what was written last is believed to be safe.
        """
        now_ms = self._clock.monotonic_ms()
        if not self._newest_entry_id or now_ms - self._loss_checked_ms < LOSS_CHECK_INTERVAL_MS:
            return False
        self._loss_checked_ms = now_ms
        if await self._operations.contains(self._newest_entry_id):
            return False
        _log.warning("ops:events has lost what it had acknowledged: the last minute is repeated")
        self._newest_entry_id = ""
        return True

    async def _advance_safe_cursor(self, seq: int) -> None:
        """What was acknowledged by the last time, if that is long enough ago, is safe."""
        now_ms = self._clock.monotonic_ms()
        if self._safe_candidate is not None:
            since_ms, settling = self._safe_candidate
            if now_ms - since_ms < SAFE_AFTER_MS:
                return
            if settling > self._safe_seq:
                await self._cursors.advance(SAFE_CURSOR, settling)
                self._safe_seq = settling
            if self._safe_seq >= seq:
                self._newest_entry_id = ""
        self._safe_candidate = now_ms, seq

    async def _relay(self, commit: Commit) -> None:
        for record in commit.events:
            event = OperationsEvent(record.id, commit.at, record.type, _detail(commit, record))
            self._newest_entry_id = await self._operations.record(event)
            self.events_relayed += 1

    async def _starting_seq(self) -> int:
        """The place to begin at: somewhat before where the last run had come."""
        self._saved_seq = position = await self._cursors.read(RELAY_CURSOR)
        head = await self._store.head()
        if position > head.seq:
            self._ledger.mark_damaged(
                f"it ends at commit {head.seq}, and {position} commits were relayed before"
            )
        self._safe_seq = await self._cursors.read(SAFE_CURSOR)
        return max(self._safe_seq, position - OVERLAP_COMMITS)


def _detail(commit: Commit, record: RecordedEvent) -> dict[str, str | int | float | bool | None]:
    flat: dict[str, str | int | float | bool | None] = {
        "position": commit.seq,
        "ledger": commit.ledger,
        "hash": commit.hash,
        "stream": record.stream,
        "version": record.version,
        "actor": commit.actor,
    }
    _flatten(record.data, flat)
    return flat


def _flatten(data: dict[str, object], flat: dict[str, str | int | float | bool | None]) -> None:
    """Nested terms beside the rest; an exact amount also as the float64 that other
    services read.
    """
    for name, value in data.items():
        match value:
            case dict():
                _flatten(value, flat)
            case str() | int() | bool() | None:
                flat[name] = value
            case list() | tuple():
                flat[name] = ",".join(map(str, value))
            case _:
                flat[name] = str(value)
    amount = data.get("amount")
    if isinstance(amount, str):
        # What a newer program means by it is not known here.
        with suppress(InvalidOperation):
            flat["amount_usdt"] = float(Decimal(amount))
