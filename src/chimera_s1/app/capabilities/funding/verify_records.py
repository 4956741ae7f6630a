"""Verify stored funding records against the exchange's public archive, month by month."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.errors import (
    ArchiveDamagedError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.funding.archive_check import (
    TIME_TOLERANCE_MS,
    ArchiveComparison,
    ArchiveMonth,
    StoredRate,
    compare_with_archive,
)
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_archive import FundingArchive


class StoredHistory(Struct, frozen=True):
    """Records of one contract between two times; *coverage* is None while nothing is verified."""

    rates: tuple[StoredRate, ...]
    coverage: RateCoverage | None


ReadStored: TypeAlias = Callable[[Symbol, int, int], Awaitable[StoredHistory]]
"""The records of a contract from a time to another, both included. Raises `InvalidValueError` for
an unknown contract.
"""


class NotCompared(Struct, frozen=True):
    symbol: Symbol
    month: Month
    reason: str


class NothingThere(Struct, frozen=True):
    """Neither the archive nor the store has a settlement: not listed then, or without funding."""

    symbol: Symbol
    month: Month


Verified: TypeAlias = ArchiveComparison | NotCompared | NothingThere


class VerifyRecords:
    """Compares only; what is missing is filled by the backfill, from the exchange's own history."""

    def __init__(self, archive: FundingArchive, read_stored: ReadStored) -> None:
        self._archive = archive
        self._read_stored = read_stored

    async def verify(self, symbol: Symbol, month: Month) -> Verified:
        """One file of the archive; an error about it is the reason why it is not compared."""
        try:
            archive = await self._archive.read(symbol, month)
            stored = await self._read_stored(
                symbol, month.start - TIME_TOLERANCE_MS, month.end + TIME_TOLERANCE_MS
            )
        except (
            ArchiveDamagedError,
            ExchangeUnavailableError,
            ExchangeRefusedError,
            InvalidValueError,
        ) as error:
            return NotCompared(symbol, month, str(error))
        return _compare(symbol, month, archive, stored)


def _compare(
    symbol: Symbol, month: Month, archive: ArchiveMonth | None, stored: StoredHistory
) -> Verified:
    if archive is None:
        if any(month.start <= each.funding_time <= month.end for each in stored.rates):
            reason = "not in the archive, which has a month a few days after its end"
            return NotCompared(symbol, month, reason)
        return NothingThere(symbol, month)
    if stored.coverage is None:
        reason = "nothing of its history is verified yet; see chimera-s1 funding gaps"
        return NotCompared(symbol, month, reason)
    return compare_with_archive(archive, stored.rates, stored.coverage)
