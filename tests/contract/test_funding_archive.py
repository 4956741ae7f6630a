"""The contract of `FundingArchive`, over a folder and over HTTP; then what each does besides."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from chimera_s1.adapters.binance.archive import download
from chimera_s1.adapters.binance.archive.download import ArchiveDownload
from chimera_s1.adapters.binance.archive.file_content import ZIP_BYTES_MAX
from chimera_s1.adapters.binance.archive.local_files import LocalArchive
from chimera_s1.adapters.binance.archive.names import CHECKSUM_SUFFIX, ArchiveFileId
from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.domain.errors import (
    ArchiveDamagedError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_archive import FundingArchive
from tests.archive_files import FILE, GOOD, checksum_of, file_server, zipped
from tests.contract.forward_proxy import forward_proxy
from tests.contract.raw_http_server import ScriptedReply, http_reply, raw_http_server

NEXT_MONTH = Month(2026, 11)
AMBIENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

Opening = Callable[[Path], AbstractAsyncContextManager[FundingArchive]]


@asynccontextmanager
async def from_folder(folder: Path) -> AsyncIterator[FundingArchive]:
    yield LocalArchive(folder)


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[FundingArchive]:
    with file_server(folder) as url:
        async with ArchiveDownload(url, DIRECT) as archive:
            yield archive


@pytest.fixture(params=[from_folder, over_http], ids=["folder", "http"])
def opening(request: pytest.FixtureRequest) -> Opening:
    return request.param  # type: ignore[no-any-return]


def put(folder: Path, content: bytes = GOOD, checksum: bytes | None = None) -> Path:
    """Write *content* where the archive has it."""
    path = folder / FILE.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if checksum is not None:
        path.with_name(path.name + CHECKSUM_SUFFIX).write_bytes(checksum)
    return path


async def test_a_month_is_read(opening: Opening, tmp_path: Path) -> None:
    put(tmp_path, checksum=checksum_of(GOOD))
    async with opening(tmp_path) as archive:
        month = await archive.read(FILE.symbol, FILE.month)

    assert month is not None
    assert (month.symbol, month.month, len(month.rows)) == (FILE.symbol, FILE.month, 93)
    assert month.has_checksum


async def test_a_file_without_a_checksum_is_read_and_says_so(
    opening: Opening, tmp_path: Path
) -> None:
    put(tmp_path)
    async with opening(tmp_path) as archive:
        month = await archive.read(FILE.symbol, FILE.month)

    assert month is not None
    assert (len(month.rows), month.has_checksum) == (93, False)


async def test_a_month_that_is_not_published_is_none(opening: Opening, tmp_path: Path) -> None:
    put(tmp_path)
    async with opening(tmp_path) as archive:
        assert await archive.read(FILE.symbol, NEXT_MONTH) is None
        assert await archive.read(Symbol("NEWUSDT"), FILE.month) is None


@pytest.mark.parametrize(
    ("content", "checksum", "words"),
    [
        (GOOD[:-9], None, "not a complete zip file"),
        (GOOD[:-9], checksum_of(GOOD), "its SHA-256 begins"),
        (zipped(b"", "x.csv"), None, "it holds 'x.csv'"),
        (b"0" * (ZIP_BYTES_MAX + 1), None, f"larger than {ZIP_BYTES_MAX} bytes"),
        (GOOD, b"0" * 10_000, "larger than 4096 bytes"),
    ],
    ids=["truncated", "wrong checksum", "another member", "too large", "large checksum"],
)
async def test_a_damaged_file_is_refused(
    opening: Opening, tmp_path: Path, content: bytes, checksum: bytes | None, words: str
) -> None:
    put(tmp_path, content, checksum)
    async with opening(tmp_path) as archive:
        with pytest.raises(ArchiveDamagedError, match=words):
            await archive.read(FILE.symbol, FILE.month)


async def test_a_file_may_be_named_itself(tmp_path: Path) -> None:
    archive = LocalArchive(put(tmp_path))

    assert archive.files == [FILE]
    assert await archive.read(FILE.symbol, FILE.month) is not None


def test_a_folder_may_have_any_layout_and_other_files(tmp_path: Path) -> None:
    other = ArchiveFileId(Symbol("ETHUSDT"), Month(2026, 9))
    for name in (FILE.zip_name, "README.txt", "BTCUSDT-metrics-2026-10.zip"):
        (tmp_path / name).write_bytes(GOOD)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / other.zip_name).write_bytes(GOOD)
    (deep / f"{other.zip_name}{CHECKSUM_SUFFIX}").write_bytes(b"")

    archive = LocalArchive(tmp_path)

    assert (archive.files, archive.problems) == ([FILE, other], [])


def test_what_cannot_be_checked_is_a_problem(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / FILE.zip_name).write_bytes(GOOD)
    (tmp_path / "BTCUSDT-fundingRate-2026-14.zip").write_bytes(GOOD)

    problems = LocalArchive(tmp_path).problems

    assert [any(word in problem for problem in problems) for word in ("is there twice", "14")] == [
        True,
        True,
    ]


@pytest.mark.parametrize("kind", ["missing", "an empty folder", "another name"])
def test_a_place_without_funding_files_is_an_error(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "missing" if kind == "missing" else tmp_path
    if kind == "another name":
        place = tmp_path / "prices.zip"
        place.write_bytes(GOOD)
        assert "SYMBOL-fundingRate-YYYY-MM.zip" in LocalArchive(place).problems[0]
        return
    with pytest.raises(ConfigurationError, match=r"does not exist|has no funding files"):
        LocalArchive(place)


async def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A FIFO has no writer, and would be read for ever."""
    os.mkfifo(tmp_path / FILE.zip_name)

    with pytest.raises(ArchiveDamagedError, match="a FIFO"):
        await LocalArchive(tmp_path).read(FILE.symbol, FILE.month)


class Failure(Struct, frozen=True):
    """What a server does, and the error it becomes."""

    script: ScriptedReply
    error: type[Exception]
    words: str


FAILURES = {
    "500": Failure(ScriptedReply(http_reply(500)), ExchangeUnavailableError, "replied 500; try"),
    "429": Failure(ScriptedReply(http_reply(429)), ExchangeUnavailableError, "replied 429"),
    "403": Failure(ScriptedReply(http_reply(403)), ExchangeRefusedError, "replied 403; is it"),
    "302": Failure(
        ScriptedReply(http_reply(302, b"", "Location: http://127.0.0.1:9/")),
        ExchangeRefusedError,
        "replied 302",
    ),
    "reset": Failure(ScriptedReply(b"", "reset"), ExchangeUnavailableError, "no reply"),
    "half": Failure(
        ScriptedReply(http_reply(200, GOOD[:50], announced=len(GOOD))),
        ExchangeUnavailableError,
        "no reply",
    ),
    "silence": Failure(ScriptedReply(b"", "stay"), ExchangeUnavailableError, "no complete reply"),
    "endless": Failure(
        ScriptedReply(http_reply(200, b"0" * (ZIP_BYTES_MAX + 9), announced=1 << 40), "stay"),
        ArchiveDamagedError,
        "larger than",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_server_that_fails_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = FAILURES[name]
    if name == "silence":
        monkeypatch.setattr(download, "TOTAL_S", 0.2)
    async with (
        raw_http_server(failure.script) as server,
        ArchiveDownload(server.url, DIRECT) as archive,
    ):
        with pytest.raises(failure.error, match=failure.words):
            await archive.read(FILE.symbol, FILE.month)

    assert len(server.requests) == 1


async def test_a_host_that_is_not_allowed_is_not_connected_to() -> None:
    egress = Egress(allowed_hosts=frozenset({"api.binance.com"}))
    async with (
        raw_http_server(ScriptedReply(http_reply(200, GOOD))) as server,
        ArchiveDownload(server.url, egress) as archive,
    ):
        with pytest.raises(ExchangeRefusedError, match=r"127\.0\.0\.1 is not in S1_EGRESS_ALLOW"):
            await archive.read(FILE.symbol, FILE.month)

    assert server.connections_accepted == 0


async def test_downloads_pass_the_configured_proxy_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path)
    for name in AMBIENT:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with file_server(tmp_path) as url:
        async with ArchiveDownload(url, DIRECT) as archive:
            assert await archive.read(FILE.symbol, FILE.month) is not None
        await check_proxy(url)


async def check_proxy(url: str) -> None:
    async with forward_proxy("user:password") as proxy:
        async with ArchiveDownload(url, Egress(proxy.url)) as archive:
            with pytest.raises(ExchangeUnavailableError, match=r"S1_EGRESS_PROXY.*replied 407"):
                await archive.read(FILE.symbol, FILE.month)
        known = proxy.url.replace("http://", "http://user:password@")
        async with ArchiveDownload(url, Egress(known)) as archive:
            assert await archive.read(FILE.symbol, FILE.month) is not None
        assert len(proxy.requests) > 1
