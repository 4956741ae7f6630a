"""Port: instruments that a capability needs, whatever S10 and the listing say."""

from collections.abc import Mapping
from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId


class HeldSymbols(Protocol):
    """Reads memory. A held instrument stays subscribed when the choice or the listing removes it,
    and is subscribed when it is not chosen, as long as its venue lists it.
    """

    def held(self) -> Mapping[InstrumentId, str]:
        """Each with the capabilities that hold it, `execution`."""
        ...

    @property
    def version(self) -> int:
        """How often it has changed. Read it before `held`."""
        ...

    async def wait_changed(self, version: int) -> None:
        """Return when it has changed after *version*."""
        ...
