"""Read the rates of settlements soon after they happen: poll until they are published."""

import logging
from collections.abc import Callable, Collection
from typing import Final

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.record_pages import RecordPages
from chimera_s1.app.capability import JobResult
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.funding.due_settlements import GIVE_UP_MS, DueSettlement, DueSettlements
from chimera_s1.domain.funding.reading_windows import proven_window
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.funding_store import FundingStore

SETTLEMENTS_JOB: Final = "funding.settlements"

EARLY_MS: Final = MINUTE_MS
"""A settlement's published time may be this much before its full hour."""

STAY_MS: Final = 20 * SECOND_MS
"""A run that has to wait longer ends, and another one goes on."""

AFTER_HOUR_MS: Final = 90 * SECOND_MS
COMMON_INTERVAL_H: Final = 4

RECENT_MS: Final = HOUR_MS // 2
BEHIND_MS: Final = DAY_MS
"""Where the history is this far behind, `RunCompletions` reads it first."""

_log = logging.getLogger(__name__)


class SettleFunding:
    """The job runs on one instance of all that share the store; each has noted what is due.

    Args:
        observe_delay: Takes how long after its settlement a rate was stored, exchange time, ms.
    """

    def __init__(
        self,
        history: CompleteHistory,
        store: FundingStore,
        *,
        exchange: ExchangeTime,
        clock: Clock,
        draw: Callable[[], float],
        observe_delay: Callable[[float], None],
    ) -> None:
        self._history = history
        self._store = store
        self._exchange = exchange
        self._clock = clock
        self._draw = draw
        self._observe_delay = observe_delay
        self._due = DueSettlements()
        self._is_running = False
        self._read_ms: float | None = None
        self._amounts_from: int | None = None
        self._last = "nothing was read yet"
        self.wake = ChangeSignal()
        self.given_up = 0

    @property
    def waiting(self) -> int:
        return len(self._due)

    def on_settled(self, symbol: Symbol, funding_time: int) -> None:
        """The mark price stream has moved on to the next settlement; never waits."""
        now_ms = self._clock.monotonic_ms()
        if self._due.notice(symbol, funding_time, now_ms, self._draw()):
            # Where no run gives them up: another instance has the job, or the store is away.
            self._give_up(now_ms - GIVE_UP_MS)
            self.wake.notify()

    async def forget_stored(self) -> None:
        """Forget what waits here and another instance has stored; a run does it for itself.

        Raises:
            ClockUncertainError: The exchange's time is not known.
            StoreUnavailableError: The store does not answer.
        """
        if not self._due:
            return
        window = Window(self._due.earliest - EARLY_MS, self._exchange.now_ms() + EARLY_MS)
        async for page in RecordPages(self._store, window):
            if self._is_running or not self._due:
                return
            self._due.take_stored(record.key for record in page)

    async def settle(self) -> JobResult:
        """Read until every rate that is due is stored, or the next read is far away.

        Raises:
            ExchangeUnavailableError, StoreUnavailableError: What is due still waits.
        """
        self._is_running = True
        try:
            return await self._settle()
        finally:
            self._is_running = False

    async def _settle(self) -> JobResult:
        found = await self._take_stored()
        if not self._due and self._read_recently():
            return JobResult(f"no settlement is due; last: {self._last}", self._next_hour_ms())
        if (behind := await self._proven()) and self._exchange.now_ms() - behind.end > BEHIND_MS:
            return JobResult("the history before it is read first", again_ms=MINUTE_MS)
        while True:
            wait_ms = self._due.wait_ms(self._clock.monotonic_ms()) if self._due else 0.0
            if wait_ms > STAY_MS:
                break
            await self._clock.sleep_ms(wait_ms)
            found += await self._poll()
            if not self._due:
                break
        await self._complete_amounts()
        return self._result(found)

    def _read_recently(self) -> bool:
        return self._read_ms is not None and self._clock.monotonic_ms() - self._read_ms < RECENT_MS

    async def _poll(self) -> int:
        """Read once for all that wait; return how many rates were found."""
        now_ms = self._clock.monotonic_ms()
        self._give_up(now_ms)
        self._due.polled(now_ms, self._draw())
        window = await self._window()
        await self._history.rates(SETTLEMENTS_JOB, window)
        self._read_ms = self._clock.monotonic_ms()
        found = await self._take_stored()
        if found:
            earlier = window.start if self._amounts_from is None else self._amounts_from
            self._amounts_from = min(window.start, earlier)
        return found

    async def _window(self) -> Window:
        """From the end of what is proven, so that the proof goes on."""
        now, proven = self._exchange.now_ms(), await self._proven()
        start = now - HOUR_MS if proven is None else proven.end + 1
        if self._due:
            start = min(start, self._due.earliest - EARLY_MS)
        return Window(min(start, now), now)

    async def _proven(self) -> Window | None:
        return proven_window((await self._store.coverage()).values())

    async def _take_stored(self) -> int:
        """How many of those that wait are stored."""
        if not self._due:
            return 0
        now, found = self._exchange.now_ms(), 0
        window = Window(self._due.earliest - EARLY_MS, now + EARLY_MS)
        async for page in RecordPages(self._store, window):
            stored = self._due.take_stored(record.key for record in page)
            self._observe(stored, now)
            found += len(stored)
            if not self._due:
                break
        return found

    def _observe(self, stored: Collection[DueSettlement], now: int) -> None:
        for each in stored:
            self._observe_delay(max(0, now - each.funding_time))

    def _give_up(self, now_ms: float) -> None:
        late = self._due.give_up(now_ms)
        if not late:
            return
        self.given_up += len(late)
        _log.warning(
            "the rates of %s were not published within %d min, %s at %s for example; the job "
            "funding.complete reads them later",
            count(len(late), "settlement"),
            GIVE_UP_MS // MINUTE_MS,
            late[0].symbol,
            format_utc(late[0].funding_time),
        )

    async def _complete_amounts(self) -> None:
        now = self._exchange.now_ms()
        # Few contracts settle between: an account that had no amounts last waits for the others.
        few = now // HOUR_MS % COMMON_INTERVAL_H and not self._history.has_new_amounts
        if self._amounts_from is None or few:
            return
        window = Window(self._amounts_from, now)
        await self._history.amounts(SETTLEMENTS_JOB, window)
        self._amounts_from = None

    def _result(self, found: int) -> JobResult:
        self._last = (
            f"stored the rates of {count(found, 'settlement')}" if found else "no new rates"
        )
        if not self._due:
            return JobResult(self._last, self._next_hour_ms())
        waiting = f"{self._last}; {count(len(self._due), 'settlement')} not published yet"
        return JobResult(waiting, again_ms=self._due.wait_ms(self._clock.monotonic_ms()))

    def _next_hour_ms(self) -> float:
        """Until just after the next full hour, for settlements that the stream does not show."""
        return HOUR_MS - self._exchange.now_ms() % HOUR_MS + AFTER_HOUR_MS
