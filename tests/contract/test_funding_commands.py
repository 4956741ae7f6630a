"""`chimera-s1 funding verify` and `funding show` against the HTTP API, as an operator runs them."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from anyio import to_thread
from msgspec import structs

from chimera_s1.adapters.binance.archive.names import CHECKSUM_SUFFIX, ArchiveFileId
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli import application as cli
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, SettlementKey
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from tests.archive_files import FILE, file_server, good_lines, write_file
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_instruments import registry_row

ETH = ArchiveFileId(Symbol("ETHUSDT"), FILE.month)
START, END = FILE.month.start, FILE.month.end
SETTLEMENTS = 93
WITHOUT_FUNDING = "not compared: 1 contract without a file and without records of the month"
NAMES = ("BTCUSDT", "ETHUSDT", "DATED_261225")

Run = Callable[..., Awaitable[tuple[int, list[str]]]]


def record(
    time: int, symbol: str = "BTCUSDT", rate: str = "0.0001", kind: str = REGULAR
) -> FundingRecord:
    return FundingRecord(
        key=SettlementKey(time, Symbol(symbol), kind),
        rate=Decimal(rate),
        mark_price=None,
        interval_h=8 if kind == REGULAR else None,
        content_hash="ab" * 32,
        first_seen_at=time,
    )


def store(parts: WebParts, *records: FundingRecord) -> None:
    parts.funding.records.update((each.key, each) for each in records)


def key(at: int) -> SettlementKey:
    """Of the settlement *at* of BTCUSDT."""
    return SettlementKey(START + at * 8 * HOUR_MS, FILE.symbol, REGULAR)


async def keep(parts: WebParts, symbol: str, start: int = START - HOUR_MS) -> None:
    """All of *symbol* since *start* is verified."""
    coverage = RateCoverage(symbol=Symbol(symbol), verified_from=start, verified_through=END)
    await parts.funding.extend_coverage([coverage])


@pytest.fixture
async def parts() -> WebParts:
    """All of October of two contracts; a third has no funding."""
    made = WebParts(tokens=MemoryTokenStore([READER]), only={"funding", "instruments"})
    made.catalog.put(Venue.PERP, [registry_row(f"perp/{name}") for name in NAMES])
    for symbol in NAMES[:2]:
        store(made, *(record(START + at * 8 * HOUR_MS, symbol) for at in range(SETTLEMENTS)))
        await keep(made, symbol)
    return made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The same in the archive."""
    folder = tmp_path / "archive"
    for file in (FILE, ETH):
        write_file(folder, file, good_lines())
    return folder


@pytest.fixture
def run(
    parts: WebParts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Exit code and lines on standard output of `chimera-s1 funding`."""
    monkeypatch.setenv("S1_TOKEN", READER_TOKEN)
    monkeypatch.setenv("S1_STATE_DIR", str(tmp_path))

    def command(*arguments: str) -> tuple[int, list[str]]:
        try:
            code = cli.run_command(["funding", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, [*said.out.splitlines(), *said.err.splitlines()]

    async def run(*arguments: object) -> tuple[int, list[str]]:
        async with serving(parts) as server:
            texts = [*map(str, arguments), "--url", server.url]
            # In a thread: the command has a loop of its own.
            return await to_thread.run_sync(lambda: command(*texts))

    return run


def verified(count: int = 2 * SETTLEMENTS, files: int = 2) -> str:
    plural = "" if files == 1 else "s"
    return f"no differences: {files} file{plural}, {count} settlements equal"


async def test_equal_histories_exit_0(run: Run, archive: Path) -> None:
    assert await run("verify", "--archive", archive) == (0, [verified()])
    assert await run("verify", "--archive", archive / FILE.path) == (0, [verified(93, 1)])
    assert await run("verify", "--archive", archive, "--symbol", "ethusdt") == (
        0,
        [verified(93, 1)],
    )


async def test_each_difference_is_a_line_and_exit_1(
    parts: WebParts, run: Run, archive: Path
) -> None:
    store(
        parts,
        record(key(3).funding_time, rate="0.00025"),
        record(START + 7 * HOUR_MS, rate="-0.01"),
        record(START + 7 * HOUR_MS, rate="0.02", kind=SPECIAL),
    )
    del parts.funding.records[key(1)]

    code, lines = await run("verify", "--archive", archive)

    assert code == 1
    assert lines == [
        "BTCUSDT 2026-10-01 07:00:00 not in the archive: stored is -0.01",
        "BTCUSDT 2026-10-01 08:00:00 not stored: the archive has 0.0001",
        "BTCUSDT 2026-10-02 00:00:00 rate: 0.00025 stored, 0.0001 in the archive",
        "not compared: 1 Special settlement stored",
        "3 differences: 2 files, 184 settlements equal",
    ]


async def test_what_both_lack_and_another_interval_are_named(
    parts: WebParts, run: Run, archive: Path
) -> None:
    del parts.funding.records[key(50)]
    lines = good_lines()
    del lines[50]
    lines[9] = lines[9].replace(",8,", ",4,")
    write_file(archive, FILE, lines)
    store(parts, structs.replace(record(key(20).funding_time), interval_h=4))

    code, said = await run("verify", "--archive", archive, "--symbol", "BTCUSDT")

    assert (code, said[:-1]) == (
        1,
        [
            "BTCUSDT 2026-10-07 16:00:00 interval: 4 h stored, 8 h in the archive",
            "BTCUSDT 2026-10-17 08:00:00 next one in neither: 16 h, interval 8 h",
        ],
    )


async def test_what_the_service_does_not_keep_is_said_and_not_missed(
    parts: WebParts, run: Run, archive: Path
) -> None:
    new = ArchiveFileId(Symbol("NEWUSDT"), FILE.month)
    path = write_file(archive, new, good_lines())
    store(parts, *(record(START + at * 8 * HOUR_MS, "NEWUSDT") for at in range(10, SETTLEMENTS)))
    await keep(parts, "NEWUSDT", START + 80 * HOUR_MS)

    assert await run("verify", "--archive", path) == (
        0,
        [
            "not compared: 10 settlements outside the verified history",
            "no differences: 1 file, 83 settlements equal",
        ],
    )


async def test_a_damaged_file_is_named_and_the_others_are_compared(run: Run, archive: Path) -> None:
    path = archive / FILE.path
    path.write_bytes(path.read_bytes()[:-1])

    code, lines = await run("verify", "--archive", archive)

    assert code == 2
    assert lines[0].startswith(
        "not checked: BTCUSDT 2026-10: BTCUSDT-fundingRate-2026-10.zip: its SHA-256 begins "
    )
    assert lines[1:] == [f"{verified(93, 1)}, 1 not checked"]


async def test_a_file_without_its_checksum_is_compared_and_said(run: Run, archive: Path) -> None:
    path = archive / FILE.path
    path.with_name(f"{path.name}{CHECKSUM_SUFFIX}").unlink()

    assert await run("verify", "--archive", archive) == (
        0,
        ["without a .CHECKSUM file: 1 file; damage may go unnoticed", verified()],
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "does not exist; name a file, a folder, a URL or binance"),
        ("", "has no funding files of the archive; they are named SYMBOL-fundingRate-YYYY-MM.zip"),
        ("ftp://x", "not a URL that starts with https or http:// and a host"),
    ],
)
async def test_a_place_without_an_archive_exits_2(
    run: Run, tmp_path: Path, name: str, words: str
) -> None:
    code, lines = await run("verify", "--archive", name if ":" in name else tmp_path / name)

    assert code == 2
    assert words in " ".join(lines)


async def test_wrong_arguments_exit_2(run: Run, archive: Path) -> None:
    month = await run("verify", "--archive", archive, "--month", "2026-13")
    alone = await run("verify", "--month", "2026-10")
    other = await run("verify", "--archive", archive, "--month", "2026-09")

    assert [code for code, _ in (month, alone, other)] == [2, 2, 2]
    assert "'2026-13' is not a month; write YYYY-MM" in month[1][0]
    assert "--month needs --archive" in alone[1][0]
    assert "no file of the archive is of that contract and month" in other[1][0]


async def test_an_unknown_contract_is_not_checked(run: Run, archive: Path) -> None:
    name = ArchiveFileId(Symbol("GONEUSDT"), FILE.month)
    write_file(archive, name, good_lines())

    code, lines = await run("verify", "--archive", archive, "--symbol", "GONEUSDT")

    assert code == 2
    assert lines[0].startswith("not checked: GONEUSDT 2026-10: http")


async def test_a_url_is_read_for_all_contracts(run: Run, archive: Path) -> None:
    """A contract without funding has no file there, and no records."""
    with file_server(archive) as url:
        found = await run("verify", "--archive", url, "--month", "2026-10")

    assert found == (0, [WITHOUT_FUNDING, verified()])


async def test_binance_is_the_archive_of_the_setting(
    run: Run, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S1_BINANCE_ENV", "simulator")
    monkeypatch.setenv("S1_VENUES", "spot")
    for name in ("REST", "WS"):
        scheme = "http" if name == "REST" else "ws"
        monkeypatch.setenv(f"S1_BINANCE_SPOT_{name}_URL", f"{scheme}://127.0.0.1:9")
    with file_server(archive) as url:
        monkeypatch.setenv("S1_BINANCE_ARCHIVE_URL", url)
        allowed = await run("verify", "--archive", "binance", "--month", "2026-10")
        monkeypatch.setenv("S1_EGRESS_ALLOW", "data.binance.vision")
        code, lines = await run("verify", "--archive", "binance", "--month", "2026-10")

    assert allowed == (0, [WITHOUT_FUNDING, verified()])
    assert code == 2
    assert "127.0.0.1 is not in S1_EGRESS_ALLOW" in lines[0]


async def test_a_month_that_is_not_published_yet_is_not_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with file_server(tmp_path / "empty") as url:
        code, lines = await run(
            "verify", "--archive", url, "--month", "2026-10", "--symbol", "BTCUSDT"
        )

    assert code == 2
    assert lines[0].startswith("not checked: BTCUSDT 2026-10: not in the archive, which has")


async def test_a_month_without_a_file_and_records_is_nothing_to_compare(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with file_server(tmp_path / "empty") as url:
        found = await run("verify", "--archive", url, "--month", "2027-01", "--symbol", "BTCUSDT")

    assert found == (2, [WITHOUT_FUNDING, "nothing compared: 0 files, 0 settlements equal"])


async def test_a_file_of_another_name_is_not_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("")

    code, lines = await run("verify", "--archive", tmp_path / "notes.md")

    assert code == 2
    assert lines[0].startswith("not checked: 'notes.md' is not the name of a funding file")
    assert lines[1:] == ["nothing compared: 0 files, 0 settlements equal, 1 not checked"]


async def test_the_service_away_exits_2(run: Run, parts: WebParts, archive: Path) -> None:
    parts.funding.unavailable = "sqlite: database is locked"

    code, lines = await run("verify", "--archive", archive)

    assert code == 2
    assert lines[0].startswith("error: http://127.0.0.1:")


async def test_without_an_archive_gaps_and_disputes_are_differences(
    run: Run, parts: WebParts
) -> None:
    dispute = FundingDispute(
        key=key(0),
        field="rate",
        stored="0.0001",
        found="0.0002",
        content_hash="cd" * 32,
        found_at=END,
    )
    await parts.funding.dispute([dispute])

    code, lines = await run("verify", "--symbol", "BTCUSDT")

    assert code == 1
    assert any("not_verified" in line for line in lines)
    assert any(line.startswith("disputed: BTCUSDT 2026-10-01 00:00:00 Regular") for line in lines)


def exchange_is_ahead(parts: WebParts, ahead_ms: int = 0) -> int:
    """Of this machine's clock; the full hour before the exchange's time."""
    now = SystemClock().now_ms() + ahead_ms
    parts.clock.step_wall_clock(now - parts.clock.now_ms())
    return now // HOUR_MS * HOUR_MS


async def test_show_prints_exact_cells_outside_a_terminal(run: Run, parts: WebParts) -> None:
    now = exchange_is_ahead(parts)
    store(
        parts,
        record(now - 50 * HOUR_MS),
        structs.replace(record(now - 8 * HOUR_MS, rate="-0.00012345"), rate_est=Decimal("0.1")),
        record(now, rate="0.5", kind=SPECIAL),
    )

    code, lines = await run("show", "btcusdt", "--days", "1")

    assert code == 0
    assert [line.split("\t")[1:] for line in lines] == [
        ["BTCUSDT", "Regular", "-0.00012345", "0.1", "8", "", ""],
        ["BTCUSDT", "Special", "0.5", "", "", "", ""],
    ]


async def test_show_reads_the_most_days_that_it_allows(run: Run, parts: WebParts) -> None:
    now = exchange_is_ahead(parts, 1_000)
    store(parts, record(now - 364 * DAY_MS), record(now))

    code, lines = await run("show", "BTCUSDT", "--days", "365")
    too_many, words = await run("show", "BTCUSDT", "--days", "366")

    assert code == 0
    assert format_utc(now - 364 * DAY_MS) in lines[0]
    assert format_utc(now) in lines[-1]
    assert too_many == 2
    assert "less than or equal to 365" in " ".join(words)


async def test_show_ends_at_the_time_of_the_exchange(run: Run, parts: WebParts) -> None:
    """A simulator's clock may run fast."""
    now = exchange_is_ahead(parts, 10 * DAY_MS)
    store(parts, record(now))

    _, lines = await run("show", "BTCUSDT", "--days", "1")

    assert [line.split("\t")[0] for line in lines] == [format_utc(now)]


async def test_show_of_nothing_and_of_an_unknown_contract(run: Run, parts: WebParts) -> None:
    exchange_is_ahead(parts)
    assert await run("show", "DATED_261225") == (
        0,
        ["DATED_261225 has no settlement of the last 7 days; see chimera-s1 funding gaps"],
    )
    code, lines = await run("show", "BTCUSTD")
    assert code == 2
    assert "did you mean BTCUSDT?" in lines[0]


async def test_pages_are_read_to_the_last(run: Run, parts: WebParts, archive: Path) -> None:
    """A month may have more settlements than a page."""
    extra = (record(START + at * 60_001, "ETHUSDT", kind=SPECIAL) for at in range(2_000))
    store(parts, *extra)

    code, lines = await run("verify", "--archive", archive / ETH.path)

    assert (code, lines) == (
        0,
        ["not compared: 2000 Special settlements stored", verified(93, 1)],
    )
