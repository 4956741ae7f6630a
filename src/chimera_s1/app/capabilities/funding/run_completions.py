"""Read the history again at regular times: the last days often, all of it once a week."""

from typing import Final

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.rates_read import RatesRead
from chimera_s1.domain.funding.reading_windows import RECENT_DAYS, proven_window, slice_of_day
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import FundingStore

COMPLETE_JOB: Final = "funding.complete"
REREAD_JOB: Final = "funding.reread"


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
        """Read a seventh of the older history again."""
        window = slice_of_day(self._history_days, self._exchange.now_ms())
        if window is None:
            return f"{COMPLETE_JOB} reads all of the history"
        return await self._complete(REREAD_JOB, window)

    async def _complete(self, job: str, window: Window) -> str:
        rates = await self._history.rates(job, window)
        amounts = await self._history.amounts(job, window)
        days = (window.end - window.start) / DAY_MS
        return f"read {days:.0f} days: {_describe(rates)}; {amounts.sentence}"


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
