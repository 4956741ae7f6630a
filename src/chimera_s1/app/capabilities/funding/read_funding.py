"""Read the stored funding history: the records of a contract, and what it paid and received."""

from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct

from chimera_s1.app.capabilities.funding.find_gaps import FindGaps, GapsFound
from chimera_s1.app.near_name import near_name
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ChimeraError, ClockUncertainError, InvalidValueError
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.daily_sums import DailyFunding, FundingSums
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_store import FundingStore
from chimera_s1.domain.ports.instrument_reader import InstrumentReader

PAGE_MAX = 1_000
WINDOW_DAYS_MAX = 366
ALL_CONTRACTS_DAYS_MAX = 92
DEFAULT_DAYS = 7

_FOREVER: Final = 10**13
"""After every settlement, epoch ms."""


class ContractUnknownError(ChimeraError):
    """Neither the registry nor the funding history has such a contract."""

    code = "funding.unknown"


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


class DailyPage(Struct, frozen=True):
    """Attributes:
    window: Whole UTC days.
    rows: By day and contract; without those of which no amount is known.
    following: Day and contract of the last row; None on the last page.
    total: Of all pages, with the settlements whose amount is not known.
    """

    window: Window
    rows: tuple[DailyFunding, ...]
    following: tuple[int, Symbol] | None
    total: FundingSums


class ReadFunding:
    """Reads the store.

    Args:
        now_ms: The exchange's time, epoch ms; raises ClockUncertainError.
    """

    def __init__(
        self,
        store: FundingStore,
        instruments: InstrumentReader,
        find_gaps: FindGaps,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._instruments = instruments
        self._find_gaps = find_gaps
        self._now_ms = now_ms

    def window(self, start: int | None, end: int | None) -> Window:
        """The times that a caller means; by default the last days before *end*, which is now.

        Raises:
            InvalidValueError: It is reversed or too large.
            ClockUncertainError: *end* is None, and the exchange's time is not known.
        """
        last = self._now() if end is None else end
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
        return Window(first, last)

    def _now(self) -> int:
        try:
            return self._now_ms()
        except ClockUncertainError as error:
            raise ClockUncertainError(f"{error}; send start and end to read now") from error

    async def records(
        self, symbol: Symbol, window: Window, *, limit: int, after: SettlementKey | None = None
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
        disputes = await self._store.disputes(symbol=symbol)
        return RecordPage(
            found[:limit],
            found[limit - 1].key if len(found) > limit else None,
            coverage.get(symbol),
            tuple(each for each in disputes if window.contains(each.key.funding_time)),
        )

    async def daily(
        self,
        symbol: Symbol | None,
        window: Window,
        *,
        limit: int,
        after: tuple[int, Symbol] | None = None,
    ) -> DailyPage:
        """What the days of *window* paid and received: at most *limit* rows beyond *after*.

        Raises:
            ContractUnknownError: There is no such contract.
            InvalidValueError: The window is too large for all contracts.
            StoreUnavailableError: The store cannot be read.
        """
        if symbol is None and window.end - window.start > ALL_CONTRACTS_DAYS_MAX * DAY_MS:
            raise InvalidValueError(
                f"start to end is more than {ALL_CONTRACTS_DAYS_MAX} days; send start and end at "
                f"most {ALL_CONTRACTS_DAYS_MAX} days apart, or a symbol: then {WINDOW_DAYS_MAX}"
            )
        days = Window(window.start // DAY_MS * DAY_MS, window.end // DAY_MS * DAY_MS + DAY_MS - 1)
        found = await self._store.daily_sums(days.start, days.end, symbol)
        if symbol is not None and not found:
            await self._check_known(symbol, await self._store.coverage())
        left = tuple(
            each
            for each in found
            if each.without_amount < each.settlements
            and (after is None or (each.day, each.symbol) > after)
        )
        rows = left[:limit]
        following = (rows[-1].day, rows[-1].symbol) if len(left) > limit else None
        return DailyPage(days, rows, following, FundingSums.of(found))

    async def gaps(self, symbol: Symbol | None) -> GapsFound:
        """What is missing of *symbol*, or of all contracts.

        Raises:
            ContractUnknownError: There is no such contract.
            ClockUncertainError: The exchange's time is not known.
            StoreUnavailableError: The store cannot be read.
        """
        if symbol is not None:
            await self._check_known(symbol, await self._store.coverage())
        return await self._find_gaps.find(symbol)

    async def _check_known(self, symbol: Symbol, verified: Collection[Symbol]) -> None:
        listings = self._instruments.listings(Venue.PERP)
        known = {*verified, *(each.instrument.symbol for each in listings or ())}
        if symbol in known or await self._store.between(0, _FOREVER, symbol=symbol, limit=1):
            return
        near = near_name(symbol, known)
        hint = f"did you mean {near}?" if near else "GET /xchg/instruments?venue=perp lists them"
        problem = self._instruments.problem(Venue.PERP)
        why = f"; the listing is not current: {problem}" if problem else ""
        raise ContractUnknownError(
            f"{symbol} is neither in the registry of contracts nor in the funding history{why}; "
            f"{hint}"
        )
