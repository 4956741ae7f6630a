"""`chimera-s1 instruments` on a SQLite file as the service leaves it, intact and tampered with."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from msgspec import structs

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.instrument_registry import SqliteInstrumentRegistry
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli import application as cli
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.listing_read import ListingRead
from chimera_s1.domain.instruments.sync_plan import plan_sync
from tests.contract.test_jobs_api import OPERATOR, OPERATOR_TOKEN
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.processes import finished
from tests.sample_instruments import BTC_PERP, BTC_SPOT, perp_spec, perp_specs

FILE = "s1.sqlite3"
NOW_MS = SystemClock().now_ms()
HOUR_MS = 3_600_000
CHINESE = perp_spec("币安人生USDT")
Run = Callable[..., tuple[int, str, str]]


async def sync(state_dir: Path, venue: Venue, specs: Sequence[InstrumentSpec], now: int) -> None:
    """Write as the service does for a listing of *specs*."""
    async with SqliteDatabase(state_dir / FILE) as database:
        registry = SqliteInstrumentRegistry(database)
        plan = plan_sync(await registry.rows(venue), ListingRead(venue, tuple(specs)), now=now)
        await registry.apply(plan.changes)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A spot symbol of two days ago; of three contracts, one has changed in the last hour."""
    btc_later = structs.replace(BTC_PERP, status="SETTLING", max_qty=None)

    async def fill() -> None:
        await sync(tmp_path, Venue.SPOT, [BTC_SPOT], NOW_MS - 48 * HOUR_MS)
        contracts = [BTC_PERP, perp_spec("BTCUSDC"), CHINESE]
        await sync(tmp_path, Venue.PERP, contracts, NOW_MS - 30 * HOUR_MS)
        await sync(tmp_path, Venue.PERP, [btc_later, *contracts[1:]], NOW_MS - HOUR_MS)

    anyio.run(fill)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, standard output and standard error of `chimera-s1 instruments`."""

    def run(directory: Path, *arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.run_command(["instruments", *arguments, "--state-dir", str(directory)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("name", ["perp/BTCUSDT", "perp/btcusdt"])
def test_an_instrument_is_shown_in_any_case(state_dir: Path, run: Run, name: str) -> None:
    code, out, err = run(state_dir, "show", name)

    assert (code, err) == (0, "")
    assert out.startswith("perp/BTCUSDT  SETTLING\n")
    assert "quantity        step 0.001, from 0.001\n" in out
    assert "registry        version 2, " in out


def test_a_chinese_symbol_is_shown_by_its_name(state_dir: Path, run: Run) -> None:
    code, out, _ = run(state_dir, "show", "perp/币安人生USDT")

    assert (code, out.splitlines()[0]) == (0, "perp/币安人生USDT  TRADING")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "perp/BTCUSD",
            (
                "error: perp/BTCUSD is not among the 3 instruments of the registry; like it are "
                "BTCUSDC, BTCUSDT\n"
            ),
        ),
        ("perp/NOSUCH", "error: perp/NOSUCH is not among the 3 instruments of the registry\n"),
        ("futures/BTCUSDT", "write venue/SYMBOL, like spot/BTCUSDT"),
        ("BTCUSDT", "write venue/SYMBOL, like spot/BTCUSDT"),
        ("perp/", "symbol"),
    ],
)
def test_an_unknown_instrument_is_refused_with_what_is_like_it(
    state_dir: Path, run: Run, name: str, sentence: str
) -> None:
    code, out, err = run(state_dir, "show", name)

    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_changes_are_shown_with_their_difference_oldest_first(state_dir: Path, run: Run) -> None:
    code, out, err = run(state_dir, "diff")
    assert (code, out.splitlines()[1:]) == (
        0,
        ["  status: TRADING -> SETTLING", "  max_qty: 1000 -> -"],
    )
    assert out.splitlines()[0].endswith("  perp/BTCUSDT  version 2  (exchangeInfo)")
    assert err.startswith("1 changes since ")

    code, out, _ = run(state_dir, "diff", "--since", "7d")
    heads = [line.split()[1] for line in out.splitlines() if not line.startswith("  ")]
    assert heads == [
        "spot/BTCUSDT",
        "perp/BTCUSDC",
        "perp/BTCUSDT",
        "perp/币安人生USDT",
        "perp/BTCUSDT",
    ]
    _, out, _ = run(state_dir, "diff", "--since", "7d", "--venue", "spot")
    assert [line.split()[1] for line in out.splitlines()] == ["spot/BTCUSDT"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--since", "2999-01-01"), "2999-01-01 is in the future"),
        (("--since", "soon"), "'soon' is not a time; write 24h"),
        (("--venue", "coin"), "--venue"),
    ],
)
def test_a_wrong_time_or_venue_is_refused(
    state_dir: Path, run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = run(state_dir, "diff", *arguments)

    assert (code, out) == (2, "")
    assert sentence in err


def test_an_intact_registry_verifies(state_dir: Path, run: Run) -> None:
    assert run(state_dir, "verify") == (0, "4 rows and 5 changes, each hash right\n", "")


_ROW = "UPDATE instrument_registry SET document = replace(document, {}) WHERE symbol = 'BTCUSDC'"
_CHANGE = (
    "UPDATE instrument_registry_changes SET document = replace(document, {}) "
    "WHERE symbol = 'BTCUSDT' AND venue = 'perp' AND version = {}"
)
_TICK = '\'"tick_size":"0.1"\', \'"tick_size":"0.2"\''
TAMPERED = {
    "row": (_ROW.format(_TICK), "perp/BTCUSDC: its content does not have the hash "),
    "change": (
        _CHANGE.format(_TICK, 1),
        "perp/BTCUSDT version 1: the change's content does not have the hash ",
    ),
    "row removed": (
        "DELETE FROM instrument_registry WHERE symbol = 'BTCUSDC'",
        "perp/BTCUSDC: the row of its changes is missing",
    ),
    "first change removed": (
        (
            "DELETE FROM instrument_registry_changes WHERE symbol = 'BTCUSDT' AND version = 1 "
            "AND venue = 'perp'"
        ),
        "perp/BTCUSDT version 2: follows ",
    ),
    "newest change removed": (
        "DELETE FROM instrument_registry_changes WHERE version = 2",
        "perp/BTCUSDT: version 2, but its newest change is 1",
    ),
    "all changes removed": (
        "DELETE FROM instrument_registry_changes WHERE symbol = 'BTCUSDC'",
        "perp/BTCUSDC: no change made this row",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_altered_outside_the_service_gives_exit_code_1(
    state_dir: Path, run: Run, how: str
) -> None:
    statement, sentence = TAMPERED[how]
    with closing(sqlite3.connect(state_dir / FILE)) as connection, connection:
        assert connection.execute(statement).rowcount == 1

    code, out, err = run(state_dir, "verify")

    assert (code, err) == (1, "")
    assert sentence in out
    assert out.splitlines()[-1].startswith("1 faults in ")


@pytest.mark.parametrize("command", [("show", "perp/BTCUSDT"), ("diff",), ("verify",)])
def test_without_a_registry_nothing_is_created(
    tmp_path: Path, run: Run, command: tuple[str, ...]
) -> None:
    code, out, err = run(tmp_path, *command)

    assert (code, out) == (2, "")
    assert "does not exist: the service has not created it yet" in err
    assert not list(tmp_path.iterdir())


async def test_the_commands_work_beside_a_running_service(state_dir: Path) -> None:
    """As a process, while another has the file."""
    environment = {"S1_STATE_DIR": str(state_dir)}
    async with SqliteDatabase(state_dir / FILE):
        code, out, err = await finished(
            "instruments", "show", "perp/BTCUSDT", environment=environment
        )

    assert (code, err) == (0, "")
    assert out.startswith("perp/BTCUSDT  SETTLING\n")


async def test_sync_has_the_service_read_and_accepts_what_is_held(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = WebParts(tokens=MemoryTokenStore([READER, OPERATOR]), only={"instruments"})
    monkeypatch.setenv("S1_TOKEN", OPERATOR_TOKEN)
    async with serving(parts) as server:

        async def call(*arguments: str) -> tuple[int, str, str]:
            # In a thread: the command has a loop of its own.
            return await to_thread.run_sync(
                partial(run, tmp_path, "sync", *arguments, "--url", server.url)
            )

        parts.listed.specs = [*perp_specs(40), BTC_SPOT]
        first = await call()
        parts.listed.specs = [*perp_specs(10), BTC_SPOT]
        held = await call("--venue", "perp")
        accepted = await call("--venue", "perp", "--accept")
        parts.listed.specs = [BTC_SPOT]
        refused = await call("--venue", "perp")
        monkeypatch.setenv("S1_TOKEN", READER_TOKEN)
        denied = await call()

    assert first == (
        0,
        "spot: 1 listed, 1 new, 0 changed, 0 gone\nperp: 40 listed, 40 new, 0 changed, 0 gone\n",
        "",
    )
    assert held[0] == 1
    assert held[1].startswith(
        "perp: 10 listed, 0 new, 0 changed, 0 gone\n30 in quarantine: too many rows"
    )
    assert held[1].endswith("chimera-s1 instruments sync --accept\n")
    assert accepted == (0, "perp: 10 listed, 0 new, 0 changed, 30 gone\n", "")
    assert (refused[0], refused[1]) == (1, "")
    assert "the listing of perp has no usable row" in refused[2]
    assert (denied[0], denied[1]) == (1, "")
    assert "jobs:run" in denied[2]
