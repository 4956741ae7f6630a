"""Compares the service's funding records with the exchange's public archive."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.binance.archive.download import ArchiveDownload
from chimera_s1.adapters.binance.archive.local_files import LocalArchive
from chimera_s1.adapters.binance.archive.names import ArchiveFileId
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.funding.verify_records import (
    NotCompared,
    NothingThere,
    Verified,
    VerifyRecords,
)
from chimera_s1.app.cli.funding.service_records import ServiceRecords
from chimera_s1.app.cli.shared.count_progress import CountProgress
from chimera_s1.app.cli.shared.options import state_directory
from chimera_s1.app.cli.shared.output import print_line
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.foundation import egress_for
from chimera_s1.app.service_settings import Settings, load_settings
from chimera_s1.app.settings.types import parse_service_url
from chimera_s1.app.state_files import read_demo_settings, read_demo_state
from chimera_s1.app.utc_time import format_second, format_utc
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.funding.archive_check import (
    ArchiveComparison,
    ArchiveFinding,
    FindingKind,
)
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.clock import Clock

EQUAL, DIFFERENT, NOT_CHECKED = 0, 1, 2
"""Exit codes."""

BINANCE = "binance"
"""Names the archive at `S1_BINANCE_ARCHIVE_URL`."""

_URL_SCHEMES = ("https", "http")
_MONTH = slice(len("2026-11"))


class WantedFiles(Struct, frozen=True):
    """Those of a contract and of a month, where they are given."""

    symbol: Symbol | None
    month: Month | None

    def match(self, file: ArchiveFileId) -> bool:
        return self.symbol in {None, file.symbol} and self.month in {None, file.month}


class VerifySummary(Struct):
    """Attributes:
    empty: Contracts and months without a file and without records.
    unchecked: Files that could not be compared.
    without_checksum: Files that were compared, and have no checksum file.
    """

    files: int = 0
    equal: int = 0
    differences: int = 0
    not_covered: int = 0
    special: int = 0
    empty: int = 0
    unchecked: int = 0
    without_checksum: int = 0

    def add(self, result: Verified) -> None:
        match result:
            case NothingThere():
                self.empty += 1
            case NotCompared():
                self.unchecked += 1
            case ArchiveComparison():
                self.files += 1
                self.equal += result.equal
                self.differences += len(result.findings)
                self.not_covered += result.not_covered
                self.special += result.special_only_stored
                self.without_checksum += not result.has_checksum
            case _:
                assert_never(result)

    @property
    def exit_code(self) -> int:
        if self.differences:
            return DIFFERENT
        return EQUAL if self.equal and not self.unchecked else NOT_CHECKED

    def lines(self) -> list[str]:
        """The last one says the result."""
        lines = []
        if self.not_covered:
            count = _counted(self.not_covered, "settlement")
            lines.append(f"not compared: {count} outside the verified history")
        if self.special:
            lines.append(f"not compared: {_counted(self.special, 'Special settlement')} stored")
        if self.without_checksum:
            count = _counted(self.without_checksum, "file")
            lines.append(f"without a .CHECKSUM file: {count}; damage may go unnoticed")
        if self.empty:
            count = _counted(self.empty, "contract")
            lines.append(f"not compared: {count} without a file and without records of the month")
        return [*lines, f"{self._result()}: {self._counts()}"]

    def _result(self) -> str:
        if self.differences:
            return _counted(self.differences, "difference")
        return "no differences" if self.equal else "nothing compared"

    def _counts(self) -> str:
        counts = f"{_counted(self.files, 'file')}, {_counted(self.equal, 'settlement')} equal"
        return f"{counts}, {self.unchecked} not checked" if self.unchecked else counts


def settings_to_verify(state_dir: Path | None, environ: Mapping[str, str]) -> Settings:
    """Those of the demo that runs in the state directory, if *environ* names no archive."""
    directory = state_directory(state_dir, environ)
    if not environ.get("S1_BINANCE_ARCHIVE_URL") and read_demo_state(directory) is not None:
        return load_settings({**read_demo_settings(directory), "S1_STATE_DIR": str(directory)})
    return load_settings({**environ, "S1_STATE_DIR": str(directory)})


async def verify_archive(
    state_dir: Path | None, url: str | None, location: str, wanted: WantedFiles
) -> int:
    """Print each difference; the exit code.

    Raises:
        ConfigurationError: There is no service, no token or no such place.
        InvalidValueError: *location* is malformed.
        ServiceCallError: The service does not answer, or cannot read its store.
    """
    settings, clock = settings_to_verify(state_dir, os.environ), SystemClock()
    service = find_service(url, os.environ, settings, scope=Scope.READ)
    summary = VerifySummary()
    async with _open_archive(settings, location) as archive, ServiceRecords(service) as records:
        if isinstance(archive, LocalArchive):
            files = [file for file in archive.files if wanted.match(file)]
            _print_problems(archive.problems, summary)
        else:
            symbols = await records.contracts() if wanted.symbol is None else [wanted.symbol]
            month = wanted.month or _last_month(clock)
            files = [ArchiveFileId(symbol, month) for symbol in symbols]
        await _verify(VerifyRecords(archive, records.stored), files, summary, clock)
    for line in summary.lines():
        print_line(line)
    return summary.exit_code


@asynccontextmanager
async def _open_archive(
    settings: Settings, location: str
) -> AsyncIterator[LocalArchive | ArchiveDownload]:
    address = settings.binance_archive_url if location == BINANCE else location
    if "://" not in address:
        yield LocalArchive(Path(address))
        return
    async with ArchiveDownload(
        parse_service_url(address, _URL_SCHEMES), egress_for(settings)
    ) as download:
        yield download


async def _verify(
    verify: VerifyRecords, files: Sequence[ArchiveFileId], summary: VerifySummary, clock: Clock
) -> None:
    if not files and not summary.unchecked:
        raise ConfigurationError("no file of the archive is of that contract and month")
    with CountProgress("verify", "files", len(files), clock) as progress:
        for done, file in enumerate(files):
            progress.show(done, f"  {file.symbol} {file.month}")
            result = await verify.verify(file.symbol, file.month)
            summary.add(result)
            for line in _result_lines(result):
                print_line(line)
        progress.show(len(files))


def _print_problems(problems: Sequence[str], summary: VerifySummary) -> None:
    for problem in problems:
        print_line(f"not checked: {problem}")
        summary.unchecked += 1


def _result_lines(result: Verified) -> list[str]:
    match result:
        case NothingThere():
            return []
        case NotCompared():
            return [f"not checked: {result.symbol} {result.month}: {result.reason}"]
        case ArchiveComparison():
            return [_finding_line(result.symbol, finding) for finding in result.findings]
        case _:
            assert_never(result)


def _finding_line(symbol: Symbol, finding: ArchiveFinding) -> str:
    time = format_second(finding.time)
    return f"{symbol} {time} {_finding_text(finding)}"


def _finding_text(finding: ArchiveFinding) -> str:
    match finding.kind:
        case FindingKind.RATE_DIFFERS:
            return f"rate: {finding.stored} stored, {finding.archived} in the archive"
        case FindingKind.INTERVAL_DIFFERS:
            return f"interval: {finding.stored} stored, {finding.archived} in the archive"
        case FindingKind.NOT_STORED:
            return f"not stored: the archive has {finding.archived}"
        case FindingKind.NOT_IN_ARCHIVE:
            return f"not in the archive: stored is {finding.stored}"
        case FindingKind.IN_NEITHER:
            return f"next one in neither: {finding.archived}"
        case _:
            assert_never(finding.kind)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _last_month(clock: Clock) -> Month:
    """The last complete one."""
    return Month.parse(format_utc(clock.now_ms())[_MONTH]).previous()
