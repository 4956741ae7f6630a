"""Funding that the futures wallet pays and receives, each fee once."""

from collections.abc import Iterator

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.income import FundingFee, FundingIncome
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS

_INTERVAL_MS = 10_000
_LATE_MAX_MS = 8 * HOUR_MS


class FundingPayments:
    """The fees of the income, as they appear there; one that is later than 8 hours is lost."""

    def __init__(self, funding: FundingIncome | None, clock: ScaledClock) -> None:
        self._funding = funding
        self._clock = clock
        self._opened_ms = self._checked_ms = clock.now_ms()
        self._paid: dict[tuple[str, str, int], int] = {}

    def take_due(self) -> Iterator[FundingFee]:
        """Those that appeared since the last call, looked for every ten seconds at most."""
        now_ms = self._clock.now_ms()
        if self._funding is None or now_ms < self._checked_ms + _INTERVAL_MS:
            return
        start_ms = max(self._opened_ms, self._checked_ms - _LATE_MAX_MS)
        self._checked_ms = now_ms
        self._paid = {key: at_ms for key, at_ms in self._paid.items() if at_ms >= start_ms}
        for fee in list(self._funding.fees(start_ms, now_ms, None, 0)):
            key = (fee.symbol, fee.type, fee.tran_id)
            if key not in self._paid:
                self._paid[key] = fee.time_ms
                yield fee
