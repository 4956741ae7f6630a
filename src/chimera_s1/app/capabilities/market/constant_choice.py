"""The choice of symbols that the settings make."""

import anyio

from chimera_s1.domain.market.instrument_selection import SymbolFilter


class ConstantChoice:
    """Implements `domain.ports.symbol_choice.SymbolChoice`."""

    version = 0
    is_known = True

    def __init__(self, choice: SymbolFilter) -> None:
        self._choice = choice

    def current(self) -> SymbolFilter:
        return self._choice

    async def wait_changed(self, version: int) -> None:  # noqa: ARG002 (it never changes)
        await anyio.sleep_forever()
