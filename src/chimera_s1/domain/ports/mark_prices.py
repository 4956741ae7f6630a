"""Port: the running funding estimates of all contracts."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from chimera_s1.domain.funding.estimate import FundingEstimate

OnEstimates: TypeAlias = Callable[[Sequence[FundingEstimate]], None]
"""Takes what one message says; one message does not contain every contract."""


class MarkPrices(Protocol):
    async def run(self, on_estimates: OnEstimates) -> None:
        """Receive until cancelled; what is no funding is left out, and what cannot be read is
        counted.
        """
        ...
