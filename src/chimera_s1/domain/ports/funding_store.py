"""Port: the stored funding history."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.daily_sums import DailyFunding
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import Symbol


class FundingChange(Struct, frozen=True, gc=False):
    """A new version of a record.

    Attributes:
        announce: Also append it to the log that is relayed to the record's stream. History that
            was read long after its settlement is not announced.
    """

    record: FundingRecord
    announce: bool


class RefusedRecord(Struct, frozen=True):
    """*reason* is the store's own text."""

    change: FundingChange
    reason: str


class WrittenRecords(Struct, frozen=True):
    """Attributes:
    written: The changes that this call has written. One that is not announced may be left out,
        if its reply was lost and another instance wrote the next version at once.
    refused: Those that the store refuses for good.
    """

    written: tuple[FundingChange, ...] = ()
    refused: tuple[RefusedRecord, ...] = ()


class AnnouncedRecord(Struct, frozen=True):
    """*position* orders all announced versions; it only grows."""

    position: int
    record: FundingRecord


class FundingStore(Protocol):
    """Each call may raise `StoreUnavailableError`; every call may be repeated."""

    async def find(
        self, keys: Collection[SettlementKey]
    ) -> Mapping[SettlementKey, FundingRecord]: ...

    async def between(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        after: SettlementKey | None = None,
        limit: int = 1_000,
    ) -> tuple[FundingRecord, ...]:
        """Records with `start <= funding_time <= end`, in the order of their keys, beyond *after*;
        at most *limit*.
        """
        ...

    async def daily_sums(
        self, start: int, end: int, symbol: Symbol | None = None
    ) -> tuple[DailyFunding, ...]:
        """Of the records with `start <= funding_time <= end`, by day, then symbol."""
        ...

    async def write(self, changes: Sequence[FundingChange]) -> WrittenRecords:
        """Write each version once. A version that is not one above the stored one is skipped:
        another instance has written it. No announcement of a written record is lost: after an error
        or a crash a part may be written, and the next call, of any instance, completes it. What the
        store refuses for good is not announced, and does not keep the rest from being written.
        """
        ...

    async def announced(self, *, after: int = 0, limit: int = 500) -> tuple[AnnouncedRecord, ...]:
        """Announced versions beyond position *after*, in order.

        With several writers, too, one never appears before a position that was read already. A
        version may be announced twice.
        """
        ...

    async def forget_announced(self, *, through: int, before: int) -> int:
        """Shorten the log of announced versions: from its start on forget those up to position
        *through* whose records were first seen before the time *before*. How many, for the caller
        repeats it; a store may keep some, and never reuses a position.
        """
        ...

    async def dispute(self, disputes: Sequence[FundingDispute]) -> tuple[FundingDispute, ...]:
        """Keep each dispute once, by key, field and hash; return those that were new."""
        ...

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        """The newest settlements first."""
        ...

    async def coverage(self) -> Mapping[Symbol, RateCoverage]: ...

    async def extend_coverage(self, coverage: Sequence[RateCoverage]) -> None:
        """Each replaces that of its symbol where it joins it: spans are united, never shortened;
        one that does not touch the stored span replaces it if it ends later.
        """
        ...

    async def amount_coverage(self, account: str) -> AmountCoverage | None: ...

    async def extend_amount_coverage(self, coverage: AmountCoverage) -> None:
        """As `extend_coverage`."""
        ...
