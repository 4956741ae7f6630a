"""What the contract tests of the funding store need from each adapter."""

from abc import ABC, abstractmethod

from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingStore


class FundingHarness(ABC):
    """A stored history that outlives its connections."""

    @abstractmethod
    async def open(self) -> FundingStore:
        """As opened by a new process after the previous one has ended."""

    @abstractmethod
    async def open_another(self) -> FundingStore:
        """A second user of the store beside the one of `open`."""

    @abstractmethod
    def refuse(self, key: SettlementKey) -> None:
        """Make the store refuse the record of *key* for good."""
