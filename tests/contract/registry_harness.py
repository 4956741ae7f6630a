"""What the contract tests of the instrument registry need from each adapter."""

from abc import ABC, abstractmethod

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry


class RegistryHarness(ABC):
    """A stored registry that outlives its connections."""

    @abstractmethod
    async def open(self) -> InstrumentRegistry:
        """As opened by a new process after the previous one has ended."""

    @abstractmethod
    async def open_another(self) -> InstrumentRegistry:
        """A second user of the registry beside the one of `open`."""

    @abstractmethod
    def refuse(self, instrument: InstrumentId) -> None:
        """Make the store refuse the row of *instrument* for good."""
