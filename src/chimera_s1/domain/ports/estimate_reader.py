"""Port: the estimates as this instance has received them."""

from typing import Protocol

from chimera_s1.domain.identifiers import Symbol


class EstimateReader(Protocol):
    """Reads memory."""

    def last_estimate(self, symbol: Symbol, funding_time: int) -> str:
        """Of the settlement at the full hour next to *funding_time*; empty if none was received."""
        ...

    @property
    def exchange_ms(self) -> int:
        """The exchange's latest event time, epoch ms; 0 before the first."""
        ...
