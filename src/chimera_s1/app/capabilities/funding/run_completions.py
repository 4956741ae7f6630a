"""Read the history again at regular times: the last days often, all of it once a week."""

import logging
from heapq import nlargest
from typing import Final

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.rates_read import RatesRead
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ExchangeRefusedError
from chimera_s1.domain.funding.reading_windows import RECENT_DAYS, proven_window, slice_of_day
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import FundingStore

COMPLETE_JOB: Final = "funding.complete"
REREAD_JOB: Final = "funding.reread"

BEHIND_MAX: Final = 20
"""Contracts that are read alone a day, two or three requests each."""

_log = logging.getLogger(__name__)
_DATE = slice(len("2026-11-29"))


class RunCompletions:
    """Args: history_days: How much is kept complete."""

    def __init__(
        self,
        history: CompleteHistory,
        store: FundingStore,
        find_gaps: FindGaps,
        *,
        exchange: ExchangeTime,
        history_days: int,
    ) -> None:
        self._history = history
        self._store = store
        self._find_gaps = find_gaps
        self._exchange = exchange
        self._history_days = history_days
        self.gaps: int | None = None
        """That the last search of this instance has found; None before the first."""

    async def complete_recent(self) -> str:
        """Read the last days, then look for gaps in all of the history. After a longer outage it is
        `RunBackfills` that joins the rest.
        """
        now = self._exchange.now_ms()
        start = now - RECENT_DAYS * DAY_MS
        proven = proven_window((await self._store.coverage()).values())
        if proven is not None and proven.end < start:
            return f"the history ends more than {RECENT_DAYS} days ago: funding.backfill reads it"
        read = await self._complete(COMPLETE_JOB, Window(start, now))
        self.gaps = len((await self._find_gaps.find()).gaps)
        return f"{read}; {count(self.gaps, 'gap') if self.gaps else 'no gap'}"

    async def reread_slice(self) -> str:
        """Read a seventh of the older history again, and the contracts that are far behind."""
        joined = await self._join_behind()
        sentence = await self._reread_slice()
        return f"{sentence}; {count(joined, 'contract')} read alone" if joined else sentence

    async def _join_behind(self) -> int:
        """Read the contracts whose proof ends before the last days, one by one: no other read joins
        it. Returns how many.
        """
        now = self._exchange.now_ms()
        oldest, recent = now - self._history_days * DAY_MS, now - RECENT_DAYS * DAY_MS
        coverage = tuple((await self._store.coverage()).values())
        proven = proven_window(coverage)
        if proven is None or proven.end < recent:
            return 0
        behind = [each for each in coverage if each.verified_through < recent]
        behind = nlargest(BEHIND_MAX, behind, key=lambda each: each.verified_through)
        for each in behind:
            window = Window(max(oldest, each.verified_through + 1), now)
            try:
                await self._history.rates(REREAD_JOB, window, symbol=each.symbol, kept_from=oldest)
            except ExchangeRefusedError as error:
                _log.warning("the funding history of %s cannot be read: %s", each.symbol, error)
        return len(behind)

    async def _reread_slice(self) -> str:
        window = slice_of_day(self._history_days, self._exchange.now_ms())
        if window is None:
            return f"{COMPLETE_JOB} reads all of the history"
        return await self._complete(REREAD_JOB, window)

    async def _complete(self, job: str, window: Window) -> str:
        rates = await self._history.rates(job, window)
        amounts = await self._history.amounts(job, window)
        days, first = (window.end - window.start) / DAY_MS, format_utc(window.start)[_DATE]
        return f"read {days:.0f} days from {first}: {_describe(rates)}; {amounts.sentence}"


def _describe(rates: RatesRead) -> str:
    """`270 rates, 3 new, 1 disputed`."""
    numbers = (
        (rates.new, "new"),
        (rates.completed, "completed"),
        (rates.disputed, "disputed"),
        (rates.refused, "refused by the store"),
        (rates.unusable, "unusable"),
    )
    found = [f"{number} {what}" for number, what in numbers if number]
    return ", ".join([count(rates.rows, "rate"), *found])
