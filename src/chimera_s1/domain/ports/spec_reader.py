"""Port: the specification of one instrument as the registry has applied it."""

from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.instrument import InstrumentSpec


class SpecReader(Protocol):
    """Reads memory."""

    def spec(self, instrument: InstrumentId) -> InstrumentSpec | None:
        """None while the venue's listing is not known, and where it has no such instrument."""
        ...
