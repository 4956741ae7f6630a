"""Hold instruments for the capabilities that need their quotes."""

from collections.abc import Mapping

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId


class HoldSymbols:
    """Implements `domain.ports.held_symbols.HeldSymbols`. In memory: a capability holds again after
    a restart what it still needs.
    """

    def __init__(self) -> None:
        self._holders: dict[InstrumentId, set[str]] = {}
        self._changes = ChangeSignal()

    def hold(self, instrument: InstrumentId, holder: str) -> None:
        """Hold *instrument* for the capability *holder*; holding twice is as holding once."""
        holders = self._holders.setdefault(instrument, set())
        if holder not in holders:
            holders.add(holder)
            self._changes.notify()

    def release(self, instrument: InstrumentId, holder: str) -> None:
        """End a hold; without one, nothing happens."""
        holders = self._holders.get(instrument, set())
        if holder not in holders:
            return
        holders.remove(holder)
        if not holders:
            del self._holders[instrument]
        self._changes.notify()

    def held(self) -> Mapping[InstrumentId, str]:
        """See the port."""
        return {each: ", ".join(sorted(holders)) for each, holders in self._holders.items()}

    @property
    def version(self) -> int:
        return self._changes.version

    async def wait_changed(self, version: int) -> None:
        """See the port."""
        await self._changes.next_after(version)
