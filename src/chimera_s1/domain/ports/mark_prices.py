"""Port: the running funding estimates of all contracts."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.funding.estimate import FundingEstimate

OnEstimates: TypeAlias = Callable[[Sequence[FundingEstimate]], None]
"""Takes what one message says; one message does not contain every contract."""


class MarkPriceCounts(Struct):
    """Totals since the start; only the source writes them.

    Attributes:
        without_funding: Rows of contracts that have no funding: dated ones.
        coin_margined: Rows of COIN-M contracts, which are not ours.
        unreadable: Rows and messages that could not be read.
        reconnects: Connections lost after they had delivered.
    """

    messages: int = 0
    without_funding: int = 0
    coin_margined: int = 0
    unreadable: int = 0
    reconnects: int = 0


class MarkPriceReport(Struct, frozen=True):
    """Attributes:
    age_ms: Of the last message; None before the first.
    """

    connected: bool
    age_ms: float | None
    counts: MarkPriceCounts


class MarkPrices(Protocol):
    async def run(self, on_estimates: OnEstimates) -> None:
        """Receive until cancelled; what is no funding is left out, and what cannot be read is
        counted. Reconnects by itself; *on_estimates* must neither wait nor raise.
        """
        ...

    def report(self) -> MarkPriceReport: ...
