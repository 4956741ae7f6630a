"""Read the history again at regular times: the last days often, all of it once a week."""

from typing import Final

from chimera_s1.app.capabilities.funding.complete_amounts import AmountsRead, CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates, RatesRead
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.domain.funding.read_order import Window
from chimera_s1.domain.funding.reading_windows import proven_window, slice_of_day
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import FundingStore

RECENT_DAYS: Final = 8
"""An outage of a week leaves nothing for a backfill."""


class RunCompletions:
    """Args: history_days: How much is kept complete."""

    def __init__(
        self,
        rates: CompleteRates,
        amounts: CompleteAmounts,
        store: FundingStore,
        *,
        exchange: ExchangeTime,
        history_days: int,
    ) -> None:
        self._rates = rates
        self._amounts = amounts
        self._store = store
        self._exchange = exchange
        self._history_days = history_days

    async def complete_recent(self) -> str:
        """Read the last days; after a longer outage it is `RunBackfills` that joins the rest."""
        now = self._exchange.now_ms()
        start = now - RECENT_DAYS * DAY_MS
        proven = proven_window((await self._store.coverage()).values())
        if proven is not None and proven.end < start:
            return f"the history ends more than {RECENT_DAYS} days ago: funding.backfill reads it"
        return await self._complete(Window(start, now))

    async def verify_slice(self) -> str:
        """Read a seventh of the whole history again."""
        return await self._complete(slice_of_day(self._history_days, self._exchange.now_ms()))

    async def _complete(self, window: Window) -> str:
        rates = await self._rates.complete(window.start, window.end)
        amounts = await self._amounts.complete(window.start, window.end)
        days = (window.end - window.start) / DAY_MS
        return f"read {days:.0f} days: {describe_read(rates, amounts)}"


def describe_read(rates: RatesRead, amounts: AmountsRead) -> str:
    """`270 rates, 3 new, 1 disputed; 12 requests`."""
    parts = [count(rates.rows, "rate")]
    parts += [
        f"{number} {what}"
        for number, what in (
            (rates.new, "new"),
            (rates.completed, "completed"),
            (rates.disputed, "disputed"),
            (rates.refused, "refused by the store"),
            (rates.unusable, "unusable"),
        )
        if number
    ]
    return f"{', '.join(parts)}; {count(rates.requests + amounts.requests, 'request')}"
