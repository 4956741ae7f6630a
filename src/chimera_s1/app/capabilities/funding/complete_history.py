"""Complete rates and amounts for the jobs, and count what they did."""

from collections import Counter
from collections.abc import Callable

from chimera_s1.app.capabilities.funding.amounts_read import AmountsRead
from chimera_s1.app.capabilities.funding.complete_amounts import CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.app.capabilities.funding.rates_read import RatesRead
from chimera_s1.app.capabilities.funding.refused_records import RefusedRecords
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol


def _ignore(_: object) -> None:
    pass


class CompleteHistory:
    """Counts since the start.

    Args:
        wake_relay: Called after records were written.

    Attributes:
        written: Versions of records, by what became known.
        requests: By job.
        refused: Records that the store refuses for good.
        amounts_problem: Of the last read of amounts; empty if it had none.
        has_new_amounts: The last read of amounts found some.
    """

    def __init__(
        self,
        rates: CompleteRates,
        amounts: CompleteAmounts,
        refused: RefusedRecords,
        *,
        wake_relay: Callable[[], None] = lambda: None,
    ) -> None:
        self._rates = rates
        self._amounts = amounts
        self._wake_relay = wake_relay
        self.written = Counter({"rate": 0, "completed": 0, "amount": 0})
        self.requests: Counter[str] = Counter()
        self.refused = refused
        self.amounts_problem = ""
        self.has_new_amounts = False

    async def rates(
        self,
        job: str,
        window: Window,
        progress: Callable[[RatesRead], None] = _ignore,
        *,
        symbol: Symbol | None = None,
        kept_from: int = 0,
    ) -> RatesRead:
        """As `CompleteRates.complete`, for *job*; also a failed read counts."""
        last = RatesRead()

        def show(read: RatesRead) -> None:
            nonlocal last
            last = read
            progress(read)

        try:
            last = await self._rates.complete(
                window.start, window.end, symbol, kept_from=kept_from, progress=show
            )
        finally:
            self.written["rate"] += last.new
            self.written["completed"] += last.completed
            self.requests[job] += last.requests
            if last.new or last.completed:
                self._wake_relay()
        return last

    async def amounts(self, job: str, window: Window) -> AmountsRead:
        """As `CompleteAmounts.complete`, for *job*."""
        return self._count(job, await self._amounts.complete(window.start, window.end))

    async def missing_amounts(self, job: str, window: Window) -> AmountsRead:
        """As `CompleteAmounts.complete_missing`, for *job*."""
        return self._count(job, await self._amounts.complete_missing(window.start, window.end))

    def _count(self, job: str, read: AmountsRead) -> AmountsRead:
        self.written["amount"] += read.written
        self.requests[job] += read.requests
        self.amounts_problem = read.problem
        self.has_new_amounts = read.written > 0
        if read.written:
            self._wake_relay()
        return read
