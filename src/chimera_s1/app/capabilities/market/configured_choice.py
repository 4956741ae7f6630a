"""The choice of symbols that S10 makes."""

from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from chimera_s1.domain.market.instrument_selection import SymbolFilter

_NONE = SymbolFilter(every=False, named=frozenset())


class ConfiguredChoice:
    """Implements `domain.ports.symbol_choice.SymbolChoice`: the instruments of the snapshot in
    force, none before the first.
    """

    def __init__(self, configuration: FollowConfiguration) -> None:
        self._configuration = configuration

    @property
    def version(self) -> int:
        return self._configuration.changes.version

    @property
    def is_known(self) -> bool:
        return self._configuration.snapshot is not None

    def current(self) -> SymbolFilter:
        snapshot = self._configuration.snapshot
        if snapshot is None:
            return _NONE
        named = frozenset(row.instrument for row in snapshot.instruments)
        return SymbolFilter(every=False, named=named)

    async def wait_changed(self, version: int) -> None:
        await self._configuration.changes.next_after(version)
