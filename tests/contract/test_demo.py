"""`chimera-s1 demo` as a real process with real children: started, used, stopped, killed."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
from anyio.from_thread import start_blocking_portal
from redis.asyncio import Redis

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.app.state_files import parse_env_lines
from tests.processes import ChimeraProcess, ProcessEnds, chimera_process, finished, is_running
from tests.time_limits import TIMEOUT_S

FIELDS = ["ts", "symbol", "bid1", "ask1", "mid", "spread_bps", "top1_qty", "top1_usdt", "src"]


def descendants(pid: int) -> set[psutil.Process]:
    """The children of *pid* and theirs."""
    return set(psutil.Process(pid).children(recursive=True))


def running(processes: set[psutil.Process]) -> set[psutil.Process]:
    """Those still running; a later process with the same pid does not count."""
    return {each for each in processes if each.is_running() and is_running(each.pid)}


def child(demo: ChimeraProcess, command: str) -> int:
    (pid,) = [each.pid for each in descendants(demo.process.pid) if command in each.cmdline()]
    return pid


def start(directory: Path) -> AbstractAsyncContextManager[ChimeraProcess]:
    """A demo of few quotes, for little CPU."""
    few = ("--symbols", "BTCUSDT,ETHUSDT", "--rate", "20")
    return chimera_process(
        "demo", "--json", "--http-port", "0", "--state-dir", str(directory), *few
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(directory: Path) -> Iterator[ChimeraProcess]:
    """One demo for all tests that only read; it outlives the event loop of one test."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(start(directory)) as one,
    ):
        yield one


def test_demo_env_has_the_printed_addresses(demo: ChimeraProcess, directory: Path) -> None:
    lines = parse_env_lines((directory / "demo.env").read_text())
    assert list(lines) == ["S1_URL", "S1_TOKEN", "S1_REDIS_ADDRESSES", "SIM_URL", "S10_URL"]
    assert lines["S1_URL"] == demo.ready["url"]
    assert lines["S1_REDIS_ADDRESSES"] == ",".join(demo.ready["redis_addresses"])
    assert lines["SIM_URL"] == demo.ready["sim_url"]
    assert lines["S1_TOKEN"].startswith("chs1_demo_")
    assert lines["S1_TOKEN"] not in json.dumps(demo.ready)


def holding(directory: Path, text: str) -> set[str]:
    """The files of *directory* that have *text* in them."""
    return {path.name for path in directory.glob("*.*") if text.encode() in path.read_bytes()}


async def test_only_the_demos_token_is_accepted(demo: ChimeraProcess, directory: Path) -> None:
    """The token is in demo.env only: the service has its hash, and never logs it."""
    token = parse_env_lines((directory / "demo.env").read_text())["S1_TOKEN"]
    async with httpx2.AsyncClient(base_url=demo.ready["url"], timeout=TIMEOUT_S) as client:
        without = await client.get("/xchg/quotes")
        with_it = await client.get("/xchg/quotes", headers={"Authorization": f"Bearer {token}"})

    assert (without.status_code, with_it.status_code) == (401, 200)
    assert holding(directory, token) == {"demo.env"}
    code, out, err = await finished("tokens", "list", "--file", f"{directory}/demo.tokens.json")
    assert (code, err) == (0, "")
    assert out.startswith(
        "demo\tdemo\tread,treasury:transfer,treasury:resolve,jobs:run,orders:trade,mode:halt\t"
    )


@pytest.mark.usefixtures("demo")
async def test_a_backfill_of_funding_leaves_no_gap_in_its_days(directory: Path) -> None:
    """Older days may still be read."""
    place = ("--state-dir", str(directory))
    code, out, _ = await finished("funding", "backfill", "--days", "3", *place)
    _, shown, _ = await finished("funding", "gaps", "--symbol", "BTCUSDT", "--json", *place)

    assert (code, out[: len("funding of 3 days is read: ")]) == (0, "funding of 3 days is read: ")
    found = json.loads(shown)
    assert found["contracts"] == 1
    oldest_day = found["verified_through"] - 2 * 24 * 3_600_000
    assert not [gap for gap in found["gaps"] if gap["end"] >= oldest_day]


@pytest.mark.usefixtures("demo")
async def test_the_archive_of_funding_is_the_simulators(directory: Path) -> None:
    """Binance's own would not be reached. Nothing is listed in that month."""
    arguments = ("--archive", "binance", "--symbol", "BTCUSDT", "--month", "2019-01")
    ended = await finished("funding", "verify", *arguments, "--state-dir", str(directory))

    nothing = "not compared: 1 contract without a file and without records of the month"
    assert ended == (2, f"{nothing}\nnothing compared: 0 files, 0 settlements equal\n", "")


def test_the_service_is_ready_and_the_simulator_serves_it(demo: ChimeraProcess) -> None:
    with urllib.request.urlopen(f"{demo.ready['url']}/ready") as reply:
        assert reply.status == 200
    with urllib.request.urlopen(f"{demo.ready['sim_url']}/sim/status") as reply:
        status = json.load(reply)
    connections = {venue: row["connections"] for venue, row in status["venues"].items()}
    # Futures have listings, mark prices and the private stream on connections of their own.
    assert connections == {"spot": 1, "perp": 4}


def test_the_demos_s10_is_followed(demo: ChimeraProcess) -> None:
    """It announces its revision in the demo's Redis, and the thresholds of it are in force."""
    with urllib.request.urlopen(f"{demo.ready['s10_url']}/active") as reply:
        assert json.load(reply)["rev"] == 1
    with urllib.request.urlopen(f"{demo.ready['sim_url']}/sim/s10") as reply:
        assert json.load(reply)["announced"] == 1
    with urllib.request.urlopen(f"{demo.ready['url']}/metrics") as reply:
        assert "\ns1_config_rev 1.0\n" in reply.read().decode()


async def test_quotes_arrive_on_their_streams(demo: ChimeraProcess) -> None:
    host, port = demo.ready["redis_addresses"][0].split(":")
    client = Redis(
        host=host, port=int(port), decode_responses=True, protocol=2, socket_timeout=None
    )
    try:
        for venue in ("spot", "perp"):
            stream = f"mkt:events:{venue}:BTCUSDT"
            with anyio.fail_after(TIMEOUT_S):
                reply: Any = await client.xread({stream: "0"}, count=1, block=0)
            fields = reply[0][1][0][1]
            assert list(fields) == FIELDS
            assert fields["symbol"] == "BTCUSDT"
            assert fields["src"] == f"binance.{venue}.bookTicker"
            assert 0 < float(fields["bid1"]) <= float(fields["mid"]) <= float(fields["ask1"])
    finally:
        await client.aclose()


async def test_tail_finds_the_demo_and_ends_after_its_count(
    demo: ChimeraProcess, directory: Path
) -> None:
    code, out, err = await finished(
        "tail", "BTCUSDT", "--count", "3", "--state-dir", str(directory)
    )
    assert code == 0, err
    header, *lines = out.splitlines()
    assert header.startswith("instrument ")
    assert len(lines) == 3
    assert {line.split()[0] for line in lines} == {"spot/BTCUSDT", "perp/BTCUSDT"}
    assert f"(from {directory}/demo.env)" in err
    assert demo.ready["redis_addresses"][0] in err


@pytest.mark.parametrize("end", ["q", "SIGTERM"])
async def test_tail_in_a_small_terminal_shows_every_instrument_on_pages(
    demo: ChimeraProcess, directory: Path, end: str
) -> None:
    """Keys turn them; q or SIGTERM ends the command and leaves the terminal as it was."""
    assert demo.ready
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (9, 80))
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "chimera_s1", "tail", "--state-dir", str(directory)]
    with anyio.fail_after(TIMEOUT_S):
        process = await anyio.open_process(
            ending_with_parent(command),
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            env={"TERM": "xterm"},
        )
        async with process:
            shown = await read_until(master, "page 1 of ")
            assert "…" not in shown
            assert "no room for" in shown
            os.write(master, b"n")
            await read_until(master, "page 2 of ")
            if end == "q":
                os.write(master, b"q")
            else:
                process.send_signal(signal.SIGTERM)
            await read_until(master, "\x1b[?25h")  # the cursor is shown again
            assert await process.wait() == 0
    assert termios.tcgetattr(terminal) == before
    os.close(terminal)
    os.close(master)


async def read_until(descriptor: int, text: str) -> str:
    """What a terminal shows, up to *text* and the rest of that piece."""
    shown = ""
    while text not in shown:
        await anyio.wait_readable(descriptor)
        shown += os.read(descriptor, 65_536).decode(errors="replace")
    return shown


async def test_doctor_finds_the_demo_healthy(demo: ChimeraProcess, directory: Path) -> None:
    code, out, err = await finished("doctor", "--json", "--state-dir", str(directory))
    findings = {row["name"]: row for row in json.loads(out)}
    assert code == 0, out + err
    assert {row["grade"] for row in findings.values()} == {"OK"}
    assert findings["settings"]["detail"] == f"valid; checking the demo in {directory}"
    assert demo.ready["redis_addresses"][0] in findings["redis"]["detail"]
    assert demo.ready["url"] in findings["http"]["detail"]
    assert findings["account"]["detail"] == "one-way mode, single-asset mode"
    assert "contracts" not in findings  # S1_SYMBOLS names none


async def test_a_second_demo_in_the_same_directory_is_refused(
    demo: ChimeraProcess, directory: Path
) -> None:
    code, out, err = await finished("demo", "--state-dir", str(directory))
    assert (code, out) == (2, "")
    assert err == (
        f"error: a demo already runs in {directory}; stop it, or name another with --state-dir\n"
    )
    assert demo.process.returncode is None
    assert (directory / "demo.env").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_all_processes_of_the_demo(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with start(tmp_path) as demo:
        processes = descendants(demo.process.pid)
        assert len(processes) == 3, "simulator, service, Redis"
        assert await demo.stop(number) == 0
    assert not running(processes)
    assert not (tmp_path / "demo.env").exists()


@pytest.mark.parametrize("command", ["simulate", "serve"])
async def test_the_demo_stops_when_a_child_dies_and_names_it(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with start(tmp_path) as demo:
        processes = descendants(demo.process.pid)
        assert len(processes) == 3, "simulator, service, Redis"
        os.kill(child(demo, command), signal.SIGKILL)
        with anyio.fail_after(TIMEOUT_S):
            assert await demo.process.wait() == 1
    assert not running(processes)
    assert not (tmp_path / "demo.env").exists()
    error = f"error: {command} exited with signal SIGKILL; see {tmp_path}/{command}.log"
    assert error in capfd.readouterr().err


def left_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_a_killed_demo_takes_its_processes_with_it(tmp_path: Path) -> None:
    """Simulator, service, and the service's Redis; what it leaves on the disk misleads no one."""
    async with start(tmp_path) as demo:
        with ProcessEnds(each.pid for each in descendants(demo.process.pid)) as left:
            demo.process.kill()
            await demo.process.wait()
            await left.wait()

    assert len(left) == 3
    assert not (tmp_path / "service.env").exists()
    assert "redis.pid" not in {path.name for path in left_in(tmp_path)}
    code, _, err = await finished("tail", "--state-dir", str(tmp_path))
    assert code == 2
    assert "demo.env was left behind by a demo that was killed" in err


async def test_the_next_demo_cleans_up_after_a_killed_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its service was suspended, so it could not end."""
    async with start(tmp_path) as demo:
        left = descendants(demo.process.pid)
        simulator, service = child(demo, "simulate"), child(demo, "serve")
        with ProcessEnds([simulator]) as ended:
            os.kill(service, signal.SIGSTOP)
            demo.process.kill()
            await demo.process.wait()
            await ended.wait()
    try:
        assert len(running(left)) == 2, "service, Redis"
        async with start(tmp_path) as again:
            assert not running(left)
            lines = parse_env_lines((tmp_path / "demo.env").read_text())
            assert lines["S1_URL"] == again.ready["url"]
    finally:
        for process in running(left):
            os.kill(process.pid, signal.SIGKILL)
    assert "stopped what was left of an earlier demo that was killed" in capfd.readouterr().err
