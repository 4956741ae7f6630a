"""Read the stored funding history: the records of a contract, and what it paid and received."""

from collections.abc import Collection

from msgspec import Struct

from chimera_s1.app.near_name import near_name
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.funding_store import FundingStore
from chimera_s1.domain.ports.instrument_reader import InstrumentReader

PAGE_MAX = 1_000
DISPUTES_MAX = 1_000
WINDOW_DAYS_MAX = 366
DEFAULT_DAYS = 7
FOREVER = 10**13
"""After every settlement, epoch ms."""


class ContractUnknownError(ChimeraError):
    """Neither the registry nor the funding history has such a contract."""

    code = "funding.unknown"


class TimeWindow(Struct, frozen=True):
    """Epoch ms, both included."""

    start: int
    end: int

    def contains(self, time: int) -> bool:
        return self.start <= time <= self.end


class RecordPage(Struct, frozen=True):
    """Records of one contract, the oldest first.

    Attributes:
        following: The last key of the page; None on the last page.
        coverage: None while nothing of the contract is verified.
        disputes: In the window; the newest settlements first.
    """

    records: tuple[FundingRecord, ...]
    following: SettlementKey | None
    coverage: RateCoverage | None
    disputes: tuple[FundingDispute, ...]


class ReadFunding:
    """Reads the store."""

    def __init__(self, store: FundingStore, instruments: InstrumentReader, clock: Clock) -> None:
        self._store = store
        self._instruments = instruments
        self._clock = clock

    def window(self, start: int | None, end: int | None) -> TimeWindow:
        """The times that a caller means; by default the last days before *end*, which is now.

        Raises:
            InvalidValueError: It is reversed or too large.
        """
        last = self._clock.now_ms() if end is None else end
        first = last - DEFAULT_DAYS * DAY_MS if start is None else start
        if first > last:
            raise InvalidValueError(
                f"start {format_utc(first)} is after end {format_utc(last)}; send a start that is "
                "not after end, which is now if it is left out"
            )
        if last - first > WINDOW_DAYS_MAX * DAY_MS:
            raise InvalidValueError(
                f"start {format_utc(first)} to end {format_utc(last)} is more than "
                f"{WINDOW_DAYS_MAX} days; send start and end at most {WINDOW_DAYS_MAX} days apart"
            )
        return TimeWindow(first, last)

    async def records(
        self, symbol: Symbol, window: TimeWindow, *, limit: int, after: SettlementKey | None = None
    ) -> RecordPage:
        """At most *limit* records beyond *after*.

        Raises:
            ContractUnknownError: There is no such contract.
            StoreUnavailableError: The store cannot be read.
        """
        found = await self._store.between(
            window.start, window.end, symbol=symbol, after=after, limit=limit + 1
        )
        coverage = await self._store.coverage()
        if not found:
            await self._check_known(symbol, coverage)
        disputes = await self._store.disputes(symbol=symbol, limit=DISPUTES_MAX)
        return RecordPage(
            found[:limit],
            found[limit - 1].key if len(found) > limit else None,
            coverage.get(symbol),
            tuple(each for each in disputes if window.contains(each.key.funding_time)),
        )

    async def _check_known(self, symbol: Symbol, verified: Collection[Symbol]) -> None:
        listings = self._instruments.listings(Venue.PERP)
        known = {*verified, *(each.instrument.symbol for each in listings or ())}
        if symbol in known or await self._store.between(0, FOREVER, symbol=symbol, limit=1):
            return
        near = near_name(symbol, known)
        hint = f"did you mean {near}?" if near else "GET /xchg/instruments?venue=perp lists them"
        problem = self._instruments.problem(Venue.PERP)
        why = f"; the listing is not current: {problem}" if problem else ""
        raise ContractUnknownError(
            f"{symbol} is neither in the registry of contracts nor in the funding history{why}; "
            f"{hint}"
        )
