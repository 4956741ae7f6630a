"""Port: the thresholds in force."""

from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import RiskLimits


class RiskLimitsReader(Protocol):
    """Reads memory only."""

    def limits(self, instrument: InstrumentId) -> RiskLimits | None:
        """The thresholds of *instrument*, S10's defaults where it does not name it; None without
        S10 or before its first snapshot.
        """
        ...
