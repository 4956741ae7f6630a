"""A mark price stream that a test feeds."""

from collections.abc import Sequence

import anyio

from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.ports.mark_prices import MarkPriceCounts, MarkPriceReport, OnEstimates


class FakeMarkPrices:
    """Implements `domain.ports.mark_prices.MarkPrices`.

    Attributes:
        connected, age_ms: What it reports.
    """

    def __init__(self) -> None:
        self.connected = True
        self.age_ms: float | None = 500.0
        self.counts = MarkPriceCounts()
        self._on_estimates: OnEstimates = lambda _: None

    async def run(self, on_estimates: OnEstimates) -> None:
        self._on_estimates = on_estimates
        await anyio.sleep_forever()

    def send(self, *estimates: FundingEstimate) -> None:
        """A message."""
        self._send(estimates)

    def _send(self, estimates: Sequence[FundingEstimate]) -> None:
        self.counts.messages += 1
        self._on_estimates(estimates)

    def report(self) -> MarkPriceReport:
        return MarkPriceReport(self.connected, self.age_ms, self.counts)
