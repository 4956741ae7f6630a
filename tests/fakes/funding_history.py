"""A funding history in memory, for what only reads it."""

from collections.abc import Mapping, Sequence

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol


class FundingHistory:
    """The reading half of `domain.ports.funding_store.FundingStore`; a test sets its attributes."""

    def __init__(self) -> None:
        self.records: list[FundingRecord] = []
        self.found: list[FundingDispute] = []
        self.verified: list[RateCoverage] = []
        self.away = False

    async def between(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        after: SettlementKey | None = None,
        limit: int = 1_000,
    ) -> tuple[FundingRecord, ...]:
        self._check()
        chosen = [
            each
            for each in sorted(self.records, key=lambda each: each.key)
            if start <= each.key.funding_time <= end
            and symbol in {None, each.key.symbol}
            and (after is None or each.key > after)
        ]
        return tuple(chosen[:limit])

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        self._check()
        newest = sorted(self.found, key=lambda each: each.key, reverse=True)
        return tuple([each for each in newest if symbol in {None, each.key.symbol}][:limit])

    async def coverage(self) -> Mapping[Symbol, RateCoverage]:
        self._check()
        return {each.symbol: each for each in self.verified}

    def verify(self, symbols: Sequence[str], start: int, through: int) -> None:
        self.verified += [
            RateCoverage(symbol=Symbol(each), verified_from=start, verified_through=through)
            for each in symbols
        ]

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailableError("sqlite: database is locked")
