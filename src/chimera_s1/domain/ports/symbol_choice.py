"""Port: which symbols this instance is to serve."""

from typing import Protocol

from chimera_s1.domain.market.instrument_selection import SymbolFilter


class SymbolChoice(Protocol):
    """Reads memory. `S1_SYMBOLS` gives one that never changes."""

    def current(self) -> SymbolFilter: ...

    @property
    def is_known(self) -> bool:
        """False while the choice is not made yet: `current` is then empty."""
        ...

    @property
    def version(self) -> int:
        """How often the choice has changed. Read it before the choice."""
        ...

    async def wait_changed(self, version: int) -> None:
        """Return when the choice has changed after *version*."""
        ...
