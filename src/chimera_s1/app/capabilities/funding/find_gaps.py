"""Find what is missing of the stored funding history."""

from collections.abc import Callable, Mapping
from typing import Final

from anyio import Lock
from msgspec import Struct

from chimera_s1.app.capabilities.funding.record_pages import RecordPages
from chimera_s1.domain.funding.coverage import FundingGap, RateCoverage
from chimera_s1.domain.funding.gaps import GapSearch
from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.funding_store import FundingStore

FRESH_MS: Final = 5_000
"""A search reads the whole history, so what was found is not searched again so soon."""

VALID_MS: Final = 60_000
"""The same while nothing more was verified."""

REST_FACTOR: Final = 10
"""After a search there is none for this many times as long: 90 days of 930 contracts take 10 s."""


class GapsFound(Struct, frozen=True, kw_only=True):
    """Attributes:
    searched_from: Nothing may be missing from then on, or from a contract's listing; epoch ms.
    verified_through: Of the contract that is verified least far, those apart that do not trade
        any more; None while nothing is verified.
    contracts: How many are verified.
    gaps: By symbol and time.
    disputes: The newest settlements first.
    """

    searched_from: int
    verified_through: int | None
    contracts: int
    gaps: tuple[FundingGap, ...]
    disputes: tuple[FundingDispute, ...]


class _Search(Struct, frozen=True):
    """The last search over all contracts; times are of the monotonic clock."""

    began_ms: float
    ended_ms: float
    coverage: Mapping[Symbol, RateCoverage]
    found: GapsFound


class FindGaps:
    """Args:
    contracts: What is known of the listed contracts, by symbol.
    exchange_ms: The exchange's time, epoch ms; raises ClockUncertainError.
    history_days: How much is kept complete.
    """

    def __init__(
        self,
        store: FundingStore,
        *,
        contracts: Callable[[], Mapping[Symbol, ContractFacts]],
        exchange_ms: Callable[[], int],
        history_days: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._contracts = contracts
        self._exchange_ms = exchange_ms
        self._history_ms = history_days * DAY_MS
        self._clock = clock
        self._one_search = Lock()
        self._last: _Search | None = None

    async def find(self, symbol: Symbol | None = None) -> GapsFound:
        """Of *symbol*, or of all contracts.

        Raises:
            ClockUncertainError: The exchange's time is not known.
            StoreUnavailableError: The store cannot be read.
        """
        coverage = await self._store.coverage()
        if symbol is not None:
            return await self._search(coverage, symbol)
        async with self._one_search:
            last, now = self._last, self._clock.monotonic_ms()
            if last is None or now - last.ended_ms >= _valid_ms(last, coverage):
                found = await self._search(coverage, None)
                last = self._last = _Search(now, self._clock.monotonic_ms(), coverage, found)
            return last.found

    async def _search(
        self, coverage: Mapping[Symbol, RateCoverage], symbol: Symbol | None
    ) -> GapsFound:
        exchange_ms = self._exchange_ms()
        contracts = self._contracts()
        search = GapSearch(
            start=exchange_ms - self._history_ms,
            exchange_ms=exchange_ms,
            coverage=coverage,
            contracts=contracts,
            symbol=symbol,
        )
        await self._take_records(search, exchange_ms, symbol)
        verified = [each for each in coverage.values() if symbol in {None, each.symbol}]
        return GapsFound(
            searched_from=exchange_ms - self._history_ms,
            verified_through=_verified_through(verified, contracts),
            contracts=len(verified),
            gaps=search.conclude(),
            disputes=await self._store.disputes(symbol=symbol),
        )

    async def _take_records(
        self, search: GapSearch, exchange_ms: int, symbol: Symbol | None
    ) -> None:
        window = Window(search.first_record, exchange_ms)
        async for page in RecordPages(self._store, window, symbol):
            search.take(page)


def _valid_ms(last: _Search, coverage: Mapping[Symbol, RateCoverage]) -> float:
    rest_ms = REST_FACTOR * (last.ended_ms - last.began_ms)
    return max(rest_ms, VALID_MS if last.coverage == coverage else FRESH_MS)


def _verified_through(
    verified: list[RateCoverage], contracts: Mapping[Symbol, ContractFacts]
) -> int | None:
    trading = [
        each
        for each in verified
        if each.symbol in contracts and contracts[each.symbol].expects_until is None
    ]
    return min((each.verified_through for each in trading or verified), default=None)
