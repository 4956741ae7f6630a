"""An instrument source in memory."""

from collections.abc import Iterable, Mapping

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec, LeverageBrackets
from chimera_s1.domain.instruments.listing_read import ListingRead, UnusableListing
from chimera_s1.domain.instruments.trading_session import TradingSession


class MemoryInstrumentSource:
    """Implements `domain.ports.instrument_source.InstrumentSource`.

    Every call raises `error` while it is set. *brackets* and *delistings* are None without a key.
    """

    def __init__(self, specs: Iterable[InstrumentSpec] = ()) -> None:
        self.specs = list(specs)
        self.unusable: dict[Venue, tuple[UnusableListing, ...]] = {}
        self.brackets: Mapping[Symbol, LeverageBrackets] | None = None
        self.intervals: Mapping[Symbol, int | None] = {}
        self.delistings: Mapping[InstrumentId, int] | None = None
        self.sessions: Mapping[str, tuple[TradingSession, ...]] = {}
        self.error: ChimeraError | None = None
        self.reads = 0

    async def listing(self, venue: Venue) -> ListingRead:
        await self._read()
        specs = tuple(spec for spec in self.specs if spec.instrument.venue is venue)
        return ListingRead(venue, specs, self.unusable.get(venue, ()))

    async def leverage_brackets(self) -> Mapping[Symbol, LeverageBrackets] | None:
        await self._read()
        return self.brackets

    async def funding_intervals(self) -> Mapping[Symbol, int | None]:
        await self._read()
        return self.intervals

    async def delisting_dates(self) -> Mapping[InstrumentId, int] | None:
        await self._read()
        return self.delistings

    async def trading_sessions(self) -> Mapping[str, tuple[TradingSession, ...]]:
        await self._read()
        return self.sessions

    async def _read(self) -> None:
        await checkpoint()
        self.reads += 1
        if self.error is not None:
            raise self.error
