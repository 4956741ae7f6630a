"""Follow the private streams of the account: what they say goes to the ledger, once."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import assert_never

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.record_replies import LEDGER_ERRORS
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.execution.deaf_stream_check import DeafStreamCheck
from chimera_s1.domain.execution.observation import Tracked
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    OrderListReport,
    OrderReport,
    PositionReport,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.account_stream import (
    AccountChanged,
    AccountStream,
    StreamEvent,
    StreamResumed,
)
from chimera_s1.domain.ports.clock import Clock

ACTOR = "s1/streams"
WAITING_MAX = 10_000
"""Minutes of a busy account, while the ledger's store is unavailable."""

BATCH_MAX = 256
RETRIES = Backoff(base_ms=100, max_wait_ms=5_000, jitter_ms=0)

_log = logging.getLogger(__name__)


class _Waiting(Struct, frozen=True):
    """Attributes:
    heard_ms: Monotonic.
    """

    report: Tracked
    heard_ms: float


class FollowAccount:
    """Args:
    deaf_checks: By venue; `QueryWorking` asks them what the stream has not said.
    notify: Gets every event at once, recorded or not; must not block.
    request_reconciliation: Called with the reason when events may be missing.
    observe_ms: Takes the time from an event to its record; each event once.

    Attributes:
        overflowing: Reports are being dropped.
        dropped: Reports that found no room; a reconciliation repairs what they said.
        recorded: Reports that the ledger has taken.
        last_error: Why reports wait for the ledger; empty while they do not.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        streams: Mapping[Venue, AccountStream],
        deaf_checks: Mapping[Venue, DeafStreamCheck],
        *,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
        notify: Callable[[Venue, StreamEvent], None],
        request_reconciliation: Callable[[str], None],
        observe_ms: Callable[[float], None] = lambda _: None,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._ledger = ledger
        self._streams = streams
        self._deaf_checks = deaf_checks
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._notify = notify
        self._request_reconciliation = request_reconciliation
        self._observe_ms = observe_ms
        self._waiting_max = waiting_max
        self._queue: deque[_Waiting] = deque()
        self._arrived = ChangeSignal()
        self.overflowing = False
        self.dropped = 0
        self.recorded = 0
        self.last_error = ""

    @property
    def waiting(self) -> int:
        """Reports that are not recorded yet."""
        return len(self._queue)

    async def run(self) -> None:
        """Follow all streams until cancelled."""
        async with anyio.create_task_group() as tasks:
            for venue, stream in self._streams.items():
                tasks.start_soon(stream.run, self._deliverer(venue))
            await self._record_all()

    async def flush(self) -> None:
        """Record what waits, once.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Not recorded;
                the reconciliation at the next start finds it.
        """
        while self._queue:
            await self._record_batch()

    def _deliverer(self, venue: Venue) -> Callable[[StreamEvent], None]:
        def deliver(event: StreamEvent) -> None:
            self._deliver(venue, event)

        return deliver

    def _deliver(self, venue: Venue, event: StreamEvent) -> None:
        match event:
            case OrderReport():
                self._deaf_checks[venue].hear(event)
                self._enqueue(event)
            case OrderListReport() | FillReport():
                self._enqueue(event)
            case StreamResumed(cause=cause):
                self._deaf_checks[venue].resume(self._now_ms(venue))
                self._request_reconciliation(f"private stream of {venue.value}: {cause}")
            case PositionReport() | BalanceReport() | AccountChanged():
                pass
            case _:
                assert_never(event)
        self._notify(venue, event)

    def _now_ms(self, venue: Venue) -> float:
        try:
            return self._exchange_ms(venue)
        except ClockUncertainError:
            return float(self._clock.now_ms())

    def _enqueue(self, report: Tracked) -> None:
        if len(self._queue) < self._waiting_max:
            self._queue.append(_Waiting(report, self._clock.monotonic_ms()))
            self._arrived.notify()
            return
        self.dropped += 1
        if not self.overflowing:
            self.overflowing = True
            _log.error(
                "private streams: %d reports wait for the ledger (%s); the next ones are dropped, "
                "and a reconciliation repairs it",
                len(self._queue),
                self.last_error or "it is slow",
            )

    async def _record_all(self) -> None:
        failures = 0
        while True:
            version = self._arrived.version
            if not self._queue:
                await self._arrived.next_after(version)
            try:
                await self._record_batch()
            except LEDGER_ERRORS as error:
                if not self.last_error:
                    _log.warning("cannot record what the private streams say: %s; retrying", error)
                self.last_error = str(error)
                await self._clock.sleep_ms(RETRIES.wait_ms(failures, 0))
                failures += 1
            else:
                failures = 0
                self.last_error = ""

    async def _record_batch(self) -> None:
        """The oldest reports stay in the queue until they are recorded."""
        batch = [self._queue[index] for index in range(min(BATCH_MAX, len(self._queue)))]
        await self._ledger.record(ACTOR, *(waiting.report for waiting in batch))
        now_ms = self._clock.monotonic_ms()
        for waiting in batch:
            self._queue.popleft()
            self._observe_ms(now_ms - waiting.heard_ms)
        self.recorded += len(batch)
        if self.overflowing and len(self._queue) <= self._waiting_max // 2:
            # Not before there is room again: what is read now is newer than what was dropped.
            self.overflowing = False
            self._request_reconciliation(
                f"{self.dropped} reports of the private streams were dropped since the start"
            )
