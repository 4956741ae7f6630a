"""Files of the public archive, good and bad."""

import hashlib
import io
import zipfile
from collections.abc import Iterable

from chimera_s1.adapters.binance.archive.names import ArchiveFileId
from chimera_s1.domain.funding.archive_check import HOUR_MS
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol

FILE = ArchiveFileId(Symbol("BTCUSDT"), Month(2026, 10))
HEADER = "calc_time,funding_interval_hours,last_funding_rate"


def csv_text(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


def good_lines(count: int = 93, month: Month = FILE.month) -> list[str]:
    return [f"{month.start + at * 8 * HOUR_MS + at % 3},8,0.00010000" for at in range(count)]


def zipped(content: bytes, *names: str, level: int = 9) -> bytes:
    """*content* once for each of *names*; without one, as the archive names it."""
    return zip_of(((name, content) for name in names or (FILE.csv_name,)), level)


def zip_of(members: Iterable[tuple[str, bytes]], level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def checksum_of(content: bytes, name: str = FILE.zip_name) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


GOOD = zipped(csv_text(*good_lines()))
