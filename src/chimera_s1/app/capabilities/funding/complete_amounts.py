"""Complete the stored funding history with what the account paid and received."""

from collections.abc import Callable, Iterable
from typing import Final

from chimera_s1.app.capabilities.funding.amounts_read import AmountsRead
from chimera_s1.app.capabilities.funding.asset_prices import AssetPrices
from chimera_s1.app.capabilities.funding.match_window import match_window
from chimera_s1.app.capabilities.funding.read_income import (
    FullInstantError,
    IncomePagingError,
    IncomeWindow,
    read_window,
)
from chimera_s1.app.capabilities.funding.write_amounts import WriteAmounts
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.funding.coverage import AmountCoverage
from chimera_s1.domain.funding.match_income import REACH_MS
from chimera_s1.domain.funding.reading_windows import missing_amounts
from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from chimera_s1.domain.ports.funding_source import FundingSource
from chimera_s1.domain.ports.funding_store import FundingStore, RefusedRecord

HISTORY_MS: Final = 88 * DAY_MS
"""The exchange shows three months of income; the shortest three have 89 days. A row that leaves
them while a run waits for room would look as if it had vanished.
"""

WINDOW_MS: Final = 7 * DAY_MS - 2 * REACH_MS - 1_000
"""With the reach on both sides, within the 7 days of one request."""

TAIL_MS: Final = HOUR_MS
"""Younger income may still be missing."""

UNMATCHED_MS: Final = DAY_MS
"""How long an income row may wait for the rate of its settlement."""


class CompleteAmounts:
    """Amounts follow the rates: a row of income belongs to a settlement that is stored. A record
    has the amount of one account, whose key was the first to read it.

    Args:
        exchange_ms: The exchange's time, epoch ms; raises ClockUncertainError.
        on_dispute: Takes each dispute once.
        on_refused: Takes a record that the store refuses for good.
    """

    def __init__(
        self,
        source: FundingSource,
        store: FundingStore,
        *,
        exchange_ms: Callable[[], int],
        on_dispute: Callable[[FundingDispute], None],
        on_refused: Callable[[RefusedRecord], None],
    ) -> None:
        self._source = source
        self._store = store
        self._exchange_ms = exchange_ms
        self._on_dispute = on_dispute
        self._on_refused = on_refused

    async def complete(self, start: int, end: int) -> AmountsRead:
        """Read *start* to *end*, both included, as far back as the exchange shows income; and what
        is between them and the proven part, where that takes no request more.

        What the exchange does not say is a `problem` of the result: rates do without it.

        Raises:
            StoreUnavailableError: A part may be written; the next call writes the rest.
        """
        return await self._run(Window(start, end))

    async def complete_missing(self, start: int, end: int) -> AmountsRead:
        """As `complete`, what is not proven of the account between both, the newest part first: so
        a call after an interruption, or with the key of another account, reads what is left.
        """
        return await self._run(Window(start, end), only_missing=True)

    async def _run(self, window: Window, *, only_missing: bool = False) -> AmountsRead:
        read = AmountsRead()
        try:
            read.account = await self._source.account()
            if read.account is not None:
                for each in await self._windows(read.account, window, only_missing=only_missing):
                    await self._complete_readable(read, each)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            read.obstacles.append(f"income cannot be read: {error}")
            read.is_cut_short = True
        return read

    async def _complete_readable(self, read: AmountsRead, window: Window) -> None:
        """Pages that contradict each other leave out *window*, and no other."""
        try:
            await self._complete(read, *window)
        except IncomePagingError as error:
            read.obstacles.append(f"income cannot be read: {error}")

    async def _windows(
        self, account: str, window: Window, *, only_missing: bool
    ) -> Iterable[Window]:
        if not only_missing:
            return [window]
        proven = await self._store.amount_coverage(account)
        start = max(window.start, self._exchange_ms() - HISTORY_MS)
        return missing_amounts(proven, Window(start, window.end), WINDOW_MS)

    async def _complete(self, read: AmountsRead, start: int, end: int) -> None:
        now_ms = self._exchange_ms()
        prices = AssetPrices(self._source, now_ms)
        writer = WriteAmounts(
            self._store,
            prices,
            read,
            now_ms=now_ms,
            on_dispute=self._on_dispute,
            on_refused=self._on_refused,
        )
        end = min(end, now_ms)
        start = max(await self._joined(read, start, end), now_ms - HISTORY_MS)
        try:
            await self._complete_windows(read, writer, start, end, now_ms)
        finally:
            read.requests += prices.requests
            read.without_price |= prices.without_market
            if prices.problem and prices.problem not in read.obstacles:
                read.obstacles.append(prices.problem)

    async def _joined(self, read: AmountsRead, start: int, end: int) -> int:
        """*start*, or the end of what is proven before it."""
        proven = await self._store.amount_coverage(read.account or "")
        if proven is None or not end - WINDOW_MS < proven.verified_through < start:
            return start
        return proven.verified_through + 1

    async def _complete_windows(
        self, read: AmountsRead, writer: WriteAmounts, start: int, end: int, now_ms: int
    ) -> None:
        proven_to, at = start - 1, start
        while at <= end:
            window_end = min(end, at + WINDOW_MS - 1)
            try:
                window = await read_window(self._source, read, at, window_end, now_ms)
            except FullInstantError as error:
                read.obstacles.append(str(error))
                at = error.time + REACH_MS + 1
                continue
            through = await self._complete_window(read, writer, window, now_ms)
            if proven_to == at - 1 and through >= at:
                proven_to = through
                await self._prove(read, start, through)
            at = window.end + 1

    async def _prove(self, read: AmountsRead, start: int, through: int) -> None:
        await self._store.extend_amount_coverage(
            AmountCoverage(
                account=read.account or "", verified_from=start, verified_through=through
            )
        )
        read.verified_through = through

    async def _complete_window(
        self, read: AmountsRead, writer: WriteAmounts, window: IncomeWindow, now_ms: int
    ) -> int:
        """Until when the amounts are proven, if those before the window are."""
        matched = await match_window(self._store, window)
        missing = await writer.write(matched.found, _final_until(window, now_ms))
        bounds = [window.end, now_ms - TAIL_MS]
        if missing is not None:
            bounds.append(missing - 1)
        if window.has_unusable or not await self._confirm(read, writer, window, now_ms):
            bounds.append(window.start - 1)
        for row in matched.unmatched:
            if row.time > now_ms - UNMATCHED_MS:
                bounds.append(row.time - REACH_MS - 1)
            else:
                read.name_unmatched(f"{row.symbol} {row.rate_type} {format_utc(row.time)}")
        return min(bounds)

    async def _confirm(
        self, read: AmountsRead, writer: WriteAmounts, window: IncomeWindow, now_ms: int
    ) -> bool:
        """Whether a second read says the same of what contradicts a stored amount.

        An outage of the exchange may show as an empty or a shorter history.
        """
        if not writer.has_suspects:
            return True
        again = await read_window(self._source, read, window.start, window.end, now_ms)
        matched = await match_window(self._store, again)
        return await writer.confirm(matched.found, _final_until(again, now_ms))


def _final_until(window: IncomeWindow, now_ms: int) -> int:
    """Rows of settlements up to then are no more to come, or would have been read."""
    return 0 if window.unusable_of is None else now_ms - TAIL_MS
