"""What the estimates of a contract say: which is new, which settlement has happened, what is due.

`r` of the mark price stream is the estimate of the settlement at `T`. Once `T` has passed, the next
rows name the next settlement.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.settlement_times import full_hour
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

REPEAT_MS: Final = 58_000
"""An unchanged estimate is published again after this: with a message a second and a window of at
most one second, that is every 60 s at the latest.
"""

KEPT_SETTLEMENTS: Final = 10
"""Of each contract: the coming one, and those of the last 9 h where it settles each hour."""

OVERLAP_MS: Final = 10_000
"""A row that is older than the last one by at most this comes from the old socket of a renewal;
one that is older still means that the exchange's clock was set back.
"""

EARLY_MS: Final = 1_000
"""How much before its time a settlement may show in the stream. Where `T` moves on earlier, the
exchange has changed the interval, and nothing was settled.
"""


class Settled(NamedTuple):
    """The settlement of *symbol* at *funding_time* has happened."""

    symbol: Symbol
    funding_time: int


class ContractEstimates:
    """What was received of one contract.

    Attributes:
        newest: None before the first.
    """

    def __init__(self) -> None:
        self.newest: FundingEstimate | None = None
        self._interval_ms: int | None = None
        self._rates: dict[int, str] = {}

    def is_stale(self, estimate: FundingEstimate) -> bool:
        """It was received before, or a newer one was."""
        if self.newest is None:
            return False
        return 0 <= self.newest.event_time - estimate.event_time <= OVERLAP_MS

    def take(self, estimate: FundingEstimate) -> tuple[Settled, ...]:
        """The settlements that *estimate*, which is not stale, shows to have happened.

        After an outage over several of them, the first and the last: whatever is read for these
        contains the others, and the last one may not be published yet.
        """
        before, self.newest = self.newest, estimate
        self._keep(estimate)
        if before is None or estimate.funding_time <= before.funding_time:
            return ()
        if estimate.event_time < before.funding_time - EARLY_MS:
            return ()
        first = Settled(estimate.symbol, before.funding_time)
        last = self._settled_before(estimate)
        if last is not None and first.funding_time < last.funding_time <= estimate.event_time:
            return first, last
        if estimate.event_time - first.funding_time < HOUR_MS:
            self._interval_ms = estimate.funding_time - first.funding_time
        return (first,)

    def _settled_before(self, estimate: FundingEstimate) -> Settled | None:
        """The settlement before that of *estimate*; None where the interval is not known."""
        if self._interval_ms is None:
            return None
        return Settled(estimate.symbol, estimate.funding_time - self._interval_ms)

    def rate(self, funding_time: int) -> str:
        """The last estimate of the settlement at the full hour next to *funding_time*; empty if
        none was received, or too many settlements ago.
        """
        return self._rates.get(full_hour(funding_time), "")

    def _keep(self, estimate: FundingEstimate) -> None:
        hour = full_hour(estimate.funding_time)
        self._rates[hour] = estimate.rate
        if len(self._rates) > KEPT_SETTLEMENTS:
            del self._rates[min(self._rates)]


class PublishedEstimates:
    """What the streams have got from this instance; times are monotonic, ms."""

    def __init__(self) -> None:
        self._published: dict[Symbol, tuple[str, int, float]] = {}

    def is_due(self, estimate: FundingEstimate, now_ms: float) -> bool:
        """The rate or the time of the settlement has changed, or the last one is old."""
        last = self._published.get(estimate.symbol)
        if last is None:
            return True
        rate, funding_time, published_ms = last
        if rate != estimate.rate or funding_time != estimate.funding_time:
            return True
        return now_ms - published_ms >= REPEAT_MS

    def record(self, estimate: FundingEstimate, now_ms: float) -> None:
        self._published[estimate.symbol] = (estimate.rate, estimate.funding_time, now_ms)

    def forget(self, symbols: Iterable[Symbol]) -> None:
        """They are due again."""
        for symbol in symbols:
            self._published.pop(symbol, None)

    def forget_all(self) -> None:
        self._published.clear()
