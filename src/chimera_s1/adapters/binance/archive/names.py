"""Names and places of funding files in Binance's public archive."""

import re

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol, parse_symbol

NAME_FORM = "SYMBOL-fundingRate-YYYY-MM.zip"
CHECKSUM_SUFFIX = ".CHECKSUM"

_DIRECTORY = "data/futures/um/monthly/fundingRate"
_NAME = re.compile(r"(.+)-fundingRate-(\d{4}-\d{2})\.zip", re.ASCII)


class ArchiveFileId(Struct, frozen=True, order=True):
    """Which file: one contract, one month."""

    symbol: Symbol
    month: Month

    @property
    def stem(self) -> str:
        return f"{self.symbol}-fundingRate-{self.month}"

    @property
    def zip_name(self) -> str:
        return f"{self.stem}.zip"

    @property
    def csv_name(self) -> str:
        """Of the only member of the zip file."""
        return f"{self.stem}.csv"

    @property
    def path(self) -> str:
        """In the archive, with `/`."""
        return f"{_DIRECTORY}/{self.symbol}/{self.zip_name}"


def parse_file_name(name: str) -> ArchiveFileId:
    """Raises:
    InvalidValueError: *name* is not that of a funding file.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InvalidValueError(f"{name!r} is not the name of a funding file: {NAME_FORM}")
    return ArchiveFileId(parse_symbol(found[1]), Month.parse(found[2]))
