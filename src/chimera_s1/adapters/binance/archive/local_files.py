"""Files of the public archive on this machine: one, or a folder of any layout."""

import os
from collections.abc import Iterator
from pathlib import Path

from chimera_s1.adapters.binance.archive.file_content import (
    CHECKSUM_BYTES_MAX,
    ZIP_BYTES_MAX,
    read_archive_file,
)
from chimera_s1.adapters.binance.archive.names import (
    CHECKSUM_SUFFIX,
    NAME_FORM,
    ArchiveFileId,
    parse_file_name,
)
from chimera_s1.adapters.regular_file import read_regular
from chimera_s1.domain.errors import (
    ArchiveDamagedError,
    ConfigurationError,
    InvalidValueError,
)
from chimera_s1.domain.funding.archive_check import ArchiveMonth
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol

FILES_MAX = 200_000
"""A thousand contracts over sixteen years."""


class LocalArchive:
    """Implements `domain.ports.funding_archive.FundingArchive`."""

    def __init__(self, location: Path) -> None:
        """Raises:
        ConfigurationError: There is no funding file at *location*, or too many.
        """
        self._paths: dict[ArchiveFileId, Path] = {}
        self.problems: list[str] = []
        """Files that look like funding files but cannot be checked."""
        for path in _candidates(location):
            self._add(path)
        if not self._paths and not self.problems:
            raise ConfigurationError(
                f"{location} has no funding files of the archive; they are named {NAME_FORM}"
            )

    @property
    def files(self) -> list[ArchiveFileId]:
        return sorted(self._paths)

    async def read(self, symbol: Symbol, month: Month) -> ArchiveMonth | None:
        """See the port."""
        file = ArchiveFileId(symbol, month)
        path = self._paths.get(file)
        if path is None:
            return None
        try:
            content = read_regular(path, ZIP_BYTES_MAX)
            checksum = _checksum(path)
        except OSError as error:
            raise ArchiveDamagedError(f"{error.filename}: {error.strerror}") from error
        return read_archive_file(file, content, checksum)

    def _add(self, path: Path) -> None:
        try:
            file = parse_file_name(path.name)
        except InvalidValueError as error:
            self.problems.append(str(error))
            return
        if file in self._paths:
            self.problems.append(f"{path} is there twice, also as {self._paths[file]}")
        else:
            self._paths[file] = path


def _checksum(path: Path) -> bytes | None:
    try:
        return read_regular(path.with_name(path.name + CHECKSUM_SUFFIX), CHECKSUM_BYTES_MAX)
    except FileNotFoundError:
        return None


def _candidates(location: Path) -> Iterator[Path]:
    if not location.exists():
        raise ConfigurationError(
            f"{location} does not exist; name a file, a folder, a URL or binance"
        )
    if not location.is_dir():
        yield location
        return
    count = 0
    for folder, _, names in os.walk(location):
        for name in sorted(names):
            if "-fundingRate-" in name and name.endswith(".zip"):
                count += 1
                if count > FILES_MAX:
                    raise ConfigurationError(
                        f"{location} has more than {FILES_MAX} funding files; name a smaller folder"
                    )
                yield Path(folder, name)
