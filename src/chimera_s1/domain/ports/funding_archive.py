"""Port: the exchange's public monthly archive of funding rates."""

from typing import Protocol

from chimera_s1.domain.funding.archive_check import ArchiveMonth
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol


class FundingArchive(Protocol):
    async def read(self, symbol: Symbol, month: Month) -> ArchiveMonth | None:
        """None if the archive has no such file: not published yet, or the contract did not exist.

        Raises:
            ArchiveDamagedError: The file is not complete, or not what it should be.
            ExchangeUnavailableError: It cannot be read now.
            ExchangeRefusedError: Reading it is refused.
        """
        ...
