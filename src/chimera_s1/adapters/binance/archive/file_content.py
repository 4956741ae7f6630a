"""Reads one file of Binance's public archive: a zip file with one CSV file, and its checksum.

Nothing is written to disk, and nothing of a damaged file is used.
"""

import csv
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from io import BytesIO

from chimera_s1.adapters.binance.archive.names import ArchiveFileId
from chimera_s1.domain.errors import ArchiveDamagedError
from chimera_s1.domain.funding.archive_check import (
    TIME_TOLERANCE_MS,
    ArchiveMonth,
    ArchiveRow,
)
from chimera_s1.domain.printable import escape_unprintable

ZIP_BYTES_MAX = 1 << 20
CSV_BYTES_MAX = 1 << 20
"""A month of hourly settlements is 744 rows, about 30 kB."""

CHECKSUM_BYTES_MAX = 4_096
LINE_CHARS_MAX = 200
INTERVAL_H_MAX = 24
HEADER = ("calc_time", "funding_interval_hours", "last_funding_rate")

_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})(?: [ *](.+))?", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_RATE = re.compile(r"[+-]?\d{1,9}(\.\d{1,18})?([eE][+-]?\d{1,2})?", re.ASCII)
_QUOTED_CHARS_MAX = 60
_HASH_SHOWN = 12
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression that Python does not know
    OSError,
    OverflowError,
    RuntimeError,  # encrypted
    ValueError,
)


def read_archive_file(
    file: ArchiveFileId, content: bytes, checksum: bytes | None = None
) -> ArchiveMonth:
    """Args:
        content: Of the zip file.
        checksum: Of the file beside it, if there is one.

    Raises:
        ArchiveDamagedError: *content* is not what the archive holds; the text says what is wrong
            and what is allowed.
    """
    if checksum is not None:
        _check_sum(file, content, checksum)
    rows = tuple(_rows(file, _csv(file, content)))
    return ArchiveMonth(file.symbol, file.month, rows, has_checksum=checksum is not None)


def _check_sum(file: ArchiveFileId, content: bytes, checksum: bytes) -> None:
    found = _CHECKSUM.fullmatch(checksum.decode("ascii", "replace").strip())
    if found is None:
        raise _damaged(
            file, "the checksum file is not one line of 64 hexadecimal digits and the file's name"
        )
    digest, name = found[1].lower(), found[2] or file.zip_name
    if name != file.zip_name:
        raise _damaged(file, f"the checksum file is that of {_quoted(name)}")
    if digest != (is_now := hashlib.sha256(content).hexdigest()):
        begins = f"begins {is_now[:_HASH_SHOWN]}, that of the checksum file {digest[:_HASH_SHOWN]}"
        raise _damaged(file, f"its SHA-256 {begins}; download both again")


def _csv(file: ArchiveFileId, content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
            if [member.filename for member in members] != [file.csv_name]:
                names = ", ".join(_quoted(each.filename) for each in members[:3]) or "nothing"
                raise _damaged(
                    file, f"it holds {names}; the archive's files hold {file.csv_name} alone"
                )
            with archive.open(members[0]) as member:
                text = member.read(CSV_BYTES_MAX + 1)
    except _ZIP_ERRORS as error:
        words = escape_unprintable(str(error)) or type(error).__name__
        raise _damaged(file, f"not a complete zip file ({words}); download it again") from error
    if len(text) > CSV_BYTES_MAX:
        raise _damaged(file, f"its CSV file is larger than {CSV_BYTES_MAX} bytes")
    return text


def _rows(file: ArchiveFileId, text: bytes) -> Iterator[ArchiveRow]:
    last = 0
    for number, cells in _cells(file, text):
        row = _row(file, number, cells)
        where = f"line {number}: calc_time {row.calc_time}"
        if row.calc_time < last:
            raise _damaged(file, f"{where} is before that of the line above; times ascend")
        early, late = file.month.start - TIME_TOLERANCE_MS, file.month.end + TIME_TOLERANCE_MS
        if not early <= row.calc_time <= late:
            raise _damaged(file, f"{where} is not in {file.month}")
        last = row.calc_time
        yield row
    if not last:
        raise _damaged(file, "it has no settlement")


def _cells(file: ArchiveFileId, text: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines with their numbers; without the header, which old files do not have."""
    try:
        for number, cells in enumerate(csv.reader(_lines(file, text), strict=True), start=1):
            if number == 1 and tuple(cells) == HEADER:
                continue
            if len(cells) != len(HEADER):
                raise _damaged(
                    file,
                    f"line {number} has {len(cells)} columns; the columns are {','.join(HEADER)}",
                )
            yield number, cells
    except csv.Error as error:
        raise _damaged(file, f"not a CSV file ({error})") from error


def _lines(file: ArchiveFileId, text: bytes) -> Iterable[str]:
    try:
        lines = text.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise _damaged(file, f"byte {error.start} is not ASCII") from error
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_CHARS_MAX:
            raise _damaged(file, f"line {number} has more than {LINE_CHARS_MAX} characters")
        yield line


def _row(file: ArchiveFileId, number: int, cells: Sequence[str]) -> ArchiveRow:
    time, interval, rate = cells
    for form, text, column, allowed in (
        (_WHOLE, time, HEADER[0], "epoch ms"),
        (_WHOLE, interval, HEADER[1], f"whole hours from 1 to {INTERVAL_H_MAX}"),
        (_RATE, rate, HEADER[2], "a decimal number"),
    ):
        if form.fullmatch(text) is None:
            raise _cell_error(file, number, column, text, allowed)
    if not 1 <= int(interval) <= INTERVAL_H_MAX:
        allowed = f"whole hours from 1 to {INTERVAL_H_MAX}"
        raise _cell_error(file, number, HEADER[1], interval, allowed)
    return ArchiveRow(int(time), int(interval), Decimal(rate))


def _cell_error(
    file: ArchiveFileId, number: int, column: str, text: str, allowed: str
) -> ArchiveDamagedError:
    return _damaged(file, f"line {number}: {column} is {_quoted(text)}; it is {allowed}")


def _damaged(file: ArchiveFileId, text: str) -> ArchiveDamagedError:
    return ArchiveDamagedError(f"{file.zip_name}: {text}")


def _quoted(text: str) -> str:
    return repr(text[:_QUOTED_CHARS_MAX])
