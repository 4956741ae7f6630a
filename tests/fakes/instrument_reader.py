"""Listings, and a choice of symbols, that a test changes."""

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import Listing, SymbolFilter


class MemoryInstrumentReader:
    """Implements `domain.ports.instrument_reader.InstrumentReader`."""

    def __init__(self, *listings: Listing) -> None:
        self._listings: tuple[Listing, ...] | None = listings or None
        self._problem = ""
        self._changes = ChangeSignal()

    def put(self, *listings: Listing) -> None:
        """The listings of all venues from now on."""
        self._listings = listings
        self._changes.notify()

    def fail(self, problem: str) -> None:
        self._problem = problem
        self._changes.notify()

    def listings(self, venue: Venue) -> tuple[Listing, ...] | None:
        if self._listings is None:
            return None
        return tuple(each for each in self._listings if each.instrument.venue is venue)

    def problem(self, venue: Venue) -> str:  # noqa: ARG002 (the same for all)
        return self._problem

    @property
    def version(self) -> int:
        return self._changes.version

    async def wait_changed(self, version: int) -> None:
        await self._changes.next_after(version)


class MemorySymbolChoice:
    """Implements `domain.ports.symbol_choice.SymbolChoice`."""

    def __init__(self, choice: SymbolFilter) -> None:
        self._choice = choice
        self._changes = ChangeSignal()

    is_known = True

    def put(self, choice: SymbolFilter) -> None:
        self._choice = choice
        self._changes.notify()

    def current(self) -> SymbolFilter:
        return self._choice

    @property
    def version(self) -> int:
        return self._changes.version

    async def wait_changed(self, version: int) -> None:
        await self._changes.next_after(version)
