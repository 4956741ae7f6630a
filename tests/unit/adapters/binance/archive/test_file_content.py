"""Every way in which a file of the archive may be damaged is one sentence, with what is allowed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.archive import file_content
from chimera_s1.adapters.binance.archive.file_content import read_archive_file
from chimera_s1.adapters.binance.archive.names import ArchiveFileId, parse_file_name
from chimera_s1.domain.errors import ArchiveDamagedError, InvalidValueError
from chimera_s1.domain.funding.archive_check import ArchiveRow
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from tests.archive_files import (
    FILE,
    GOOD,
    HEADER,
    checksum_of,
    csv_text,
    good_lines,
    zip_of,
    zipped,
)

TIME = FILE.month.start
LONG = "0" * file_content.LINE_CHARS_MAX
BOMB = zipped(b"\n" * (file_content.CSV_BYTES_MAX + 1))


def encrypted(content: bytes) -> bytes:
    """*content* with the bit set that says so, in both headers of its member."""
    marked = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        marked[marked.index(signature) + offset] |= 1
    return bytes(marked)


def altered(content: bytes) -> bytes:
    """One byte of the compressed data is another."""
    marked = bytearray(content)
    marked[len(content) // 3] ^= 0xFF
    return bytes(marked)


def one(line: str) -> bytes:
    return zipped(csv_text(line))


DAMAGED = {
    "empty": (b"", "not a complete zip file"),
    "a page": (b"<html><body>not found</body></html>", "not a complete zip file"),
    "truncated": (GOOD[: len(GOOD) // 2], "not a complete zip file"),
    "cut by one byte": (GOOD[:-1], "not a complete zip file"),
    "altered": (altered(GOOD), "not a complete zip file"),
    "encrypted": (encrypted(GOOD), "not a complete zip file .*encrypted"),
    "bomb": (BOMB, "CSV file is larger than 1048576 bytes"),
    "no member": (zip_of(()), "holds nothing; the archive's files hold BTCUSDT-fundingRate-2026"),
    "two members": (
        zip_of([(FILE.csv_name, b""), ("other.csv", b"")]),
        "holds 'BTCUSDT-fundingRate-2026-10.csv', 'other.csv'",
    ),
    "a path": (zipped(b"", f"../{FILE.csv_name}"), "holds '../BTCUSDT-fundingRate"),
    "an absolute path": (zipped(b"", "/etc/passwd"), "holds '/etc/passwd'"),
    "another symbol": (zipped(b"", "ETHUSDT-fundingRate-2026-10.csv"), "holds 'ETHUSDT"),
    "no settlement": (zipped(csv_text()), "it has no settlement"),
    "another header": (
        zipped(csv_text(*good_lines(), header="time,rate")),
        f"line 1 has 2 columns; the columns are {HEADER}",
    ),
    "other columns": (
        zipped(csv_text(*good_lines(), header="symbol,time,rate")),
        "line 1: calc_time is 'symbol'; it is epoch ms",
    ),
    "more columns": (one(f"{TIME},8,0.0001,1"), "line 2 has 4 columns"),
    "an empty line": (zipped(csv_text(f"{TIME},8,0.0001", "", "x")), "line 3 has 0 columns"),
    "a long line": (one(f"{TIME},8,0.{LONG}"), "line 2 has more than 200 characters"),
    "not ASCII": (one(f"{TIME},8,\u0660.1"), "byte .* is not ASCII"),
    "a quote": (one(f'"{TIME},8,0.0001'), "not a CSV file"),
    "a time as text": (one("2026-10-01,8,0.0001"), "calc_time is '2026-10-01'; it is epoch ms"),
    "a negative time": (one("-1,8,0.0001"), "calc_time is '-1'"),
    "a part of an hour": (
        one(f"{TIME},0.5,0.0001"),
        "funding_interval_hours is '0.5'; it is whole",
    ),
    "no interval": (one(f"{TIME},0,0.0001"), "funding_interval_hours is '0'; it is whole hours"),
    "a long interval": (one(f"{TIME},25,0.0001"), "funding_interval_hours is '25'"),
    "no rate": (one(f"{TIME},8,"), "last_funding_rate is ''; it is a decimal number"),
    "not a number": (one(f"{TIME},8,NaN"), "last_funding_rate is 'NaN'"),
    "infinite": (one(f"{TIME},8,inf"), "last_funding_rate is 'inf'"),
    "a huge exponent": (one(f"{TIME},8,1e999999999"), "last_funding_rate is '1e999999999'"),
    "an underscore": (one(f"{TIME},8,0.00_1"), "last_funding_rate is '0.00_1'"),
    "before the month": (one(f"{TIME - 3_600_000},8,0.0001"), "is not in 2026-10"),
    "after the month": (one(f"{FILE.month.next().start + 3_600_000},8,0.0001"), "is not in 2026"),
    "out of order": (
        zipped(csv_text(*reversed(good_lines(2)))),
        "line 3: calc_time 1790812800000 is before that of the line above; times ascend",
    ),
}
"""Content of the file, and what the error says of it."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_in_one_sentence(name: str) -> None:
    content, words = DAMAGED[name]

    with pytest.raises(ArchiveDamagedError, match=words) as raised:
        read_archive_file(FILE, content, checksum_of(content))

    assert str(raised.value).startswith(f"{FILE.zip_name}: ")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("checksum", "words"),
    [
        (
            checksum_of(GOOD + b" "),
            "its SHA-256 begins .*, that of the checksum file .*; download both",
        ),
        (checksum_of(GOOD, "ETHUSDT-fundingRate-2026-10.zip"), "is that of 'ETHUSDT"),
        (b"", "not one line of 64 hexadecimal digits"),
        (b"\xff" * 64, "not one line of 64 hexadecimal digits"),
        (checksum_of(GOOD) * 2, "not one line of 64 hexadecimal digits"),
    ],
)
def test_a_checksum_that_does_not_fit_is_damage(checksum: bytes, words: str) -> None:
    with pytest.raises(ArchiveDamagedError, match=words):
        read_archive_file(FILE, GOOD, checksum)


@given(st.binary(max_size=400), st.integers(0, len(GOOD)))
def test_no_content_raises_anything_else(noise: bytes, at: int) -> None:
    for content in (noise, GOOD[:at] + noise, GOOD[:at] + noise + GOOD[at + len(noise) :]):
        try:
            month = read_archive_file(FILE, content)
        except ArchiveDamagedError:
            continue
        assert month.rows


@pytest.mark.parametrize("checksum", [None, checksum_of(GOOD), checksum_of(GOOD)[:64]])
def test_a_good_file_is_read_whole(checksum: bytes | None) -> None:
    month = read_archive_file(FILE, GOOD, checksum)

    assert (month.symbol, month.month, len(month.rows)) == ("BTCUSDT", Month(2026, 10), 93)
    assert month.rows[1] == ArchiveRow(TIME + 8 * 3_600_000 + 1, 8, Decimal("0.0001"))


def test_old_files_have_no_header_and_floats_have_exponents() -> None:
    content = zipped(csv_text(f"{TIME},8,-1.0E-5\r", f"{TIME + 3_600_000},1,2", header=""))

    rates = [row.rate for row in read_archive_file(FILE, content).rows]

    assert rates == [Decimal("-0.00001"), Decimal(2)]


def test_the_name_says_contract_and_month() -> None:
    assert parse_file_name(FILE.zip_name) == FILE
    assert FILE.path == (
        "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-10.zip"
    )
    assert parse_file_name("币安USDT-fundingRate-2026-01.zip") == ArchiveFileId(
        Symbol("币安USDT"), Month(2026, 1)
    )


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSDT-2026-10.zip",
        "BTCUSDT-fundingRate-2026-13.zip",
        "BTCUSDT-fundingRate-1999-01.zip",
        "../BTCUSDT-fundingRate-2026-10.zip",
        "BTCUSDT-fundingRate-2026-10.zip.CHECKSUM",
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_file_name(name)
