"""`chimera-s1 drill` with a real demo, where faults fire, are noticed and end; and without one."""

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.app.cli.drill.scenarios import DRILLS
from tests.processes import ChimeraProcess, chimera_process, finished

TIMEOUT_S = 150
"""A drill waits for a stable service, and for signs longer than its targets."""


async def drilled(*arguments: str) -> tuple[int, str, str]:
    """Run a drill: exit code, standard output, standard error."""
    with anyio.fail_after(TIMEOUT_S):
        done = await anyio.run_process(
            ending_with_parent([sys.executable, "-m", "chimera_s1", "drill", *arguments]),
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("S1_")},
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drilled")


@pytest.fixture(scope="module")
async def demo(directory: Path) -> AsyncIterator[ChimeraProcess]:
    async with chimera_process(
        "demo",
        "--json",
        "--http-port",
        "0",
        "--symbols",
        "BTCUSDT,ETHUSDT",
        "--state-dir",
        str(directory),
    ) as running:
        yield running


async def simulator(demo: ChimeraProcess, path: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(demo.ready["sim_url"] + path) as reply,
    ):
        return await reply.json()


@pytest.mark.parametrize(
    ("name", "sign"), [("disconnect", "ws.lost"), ("redis-gone", "/health redis")]
)
async def test_a_fault_fires_is_noticed_and_ends(
    demo: ChimeraProcess, directory: Path, name: str, sign: str
) -> None:
    """Speed depends on the machine; correctness does not."""
    rate = (await simulator(demo, "/sim/status"))["rate"]

    code, out, err = await drilled(name, "--json", "--state-dir", str(directory))

    (row,) = json.loads(out)
    assert row["drill"] == name
    assert all(row["fired"])
    assert row["noticed_s"] >= 0, err
    assert sign in row["noticed_by"] or "mkt:status" in row["noticed_by"]
    assert row["over_s"] >= 0
    assert row["wrong"] == []
    assert code == (0 if row["passed"] else 1)
    assert row["passed"] is (row["missed"] == [])
    assert (await simulator(demo, "/sim/faults"))["faults"] == []
    assert (await simulator(demo, "/sim/status"))["rate"] == rate


async def test_a_missed_target_gives_exit_code_1_and_is_named(
    demo: ChimeraProcess, directory: Path
) -> None:
    """A stream is refused for longer than the drill waits."""
    faults = demo.ready["sim_url"] + "/sim/faults"
    refuse = {"on": "ws:spot", "do": "refuse", "for_ms": 600_000}
    async with aiohttp.ClientSession() as session:
        async with session.post(faults, json=refuse) as reply:
            assert reply.status == 201
        try:
            code, out, _ = await drilled("disconnect", "--state-dir", str(directory))
        finally:
            async with session.delete(faults):
                pass

    header, line, _, verdict, *findings = out.splitlines()
    assert code == 1
    assert header.split()[:3] == ["drill", "noticed", "s"]
    assert line.split()[:2] == ["disconnect", "MISS"]
    assert verdict == "disconnect: MISS"
    assert "  missed: never over" in findings


async def test_a_redis_that_is_not_the_demos_own_is_not_stopped(
    demo: ChimeraProcess, directory: Path
) -> None:
    redis = demo.ready["redis_addresses"][0]

    code, out, err = await finished(
        "drill", "redis-gone", "--redis", redis, "--state-dir", str(directory)
    )

    assert (code, out) == (2, "")
    assert "redis-gone would stop a Redis that was named with --redis" in err


async def test_a_simulator_that_does_not_answer_is_named(
    demo: ChimeraProcess, directory: Path
) -> None:
    assert demo.process.returncode is None
    code, _, err = await finished(
        "drill", "disconnect", "--sim", "http://127.0.0.1:1", "--state-dir", str(directory)
    )

    assert code == 1
    assert "the simulator does not answer: no reply from http://127.0.0.1:1" in err
    assert "Traceback" not in err


async def test_without_a_demo_the_error_says_what_to_do(tmp_path: Path) -> None:
    code, out, err = await finished("drill", "--state-dir", str(tmp_path))

    assert (code, out) == (2, "")
    assert f"no demo runs in {tmp_path}; start chimera-s1 demo" in err
    assert len(err.strip().splitlines()) == 1


async def test_an_address_that_is_not_a_url_is_exit_code_2(tmp_path: Path) -> None:
    code, out, err = await finished(
        "drill",
        *("--url", "127.0.0.1:8080", "--sim", "http://127.0.0.1:1", "--redis", "127.0.0.1:1"),
        *("--state-dir", str(tmp_path)),
    )

    assert (code, out) == (2, "")
    assert "the service's address is not of the form http://host:port" in err


async def test_an_unknown_scenario_is_exit_code_2() -> None:
    code, out, err = await finished("drill", "typhoon")

    assert (code, out) == (2, "")
    assert "there is no drill 'typhoon'; there are: silent-socket" in err


async def test_the_list_names_each_with_its_targets() -> None:
    code, out, _ = await finished("drill", "--list")
    _, as_json, _ = await finished("drill", "--list", "--json")

    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[::2]] == [drill.name for drill in DRILLS]
    assert all("no wrong number" in line for line in lines[1::2])
    assert [each["drill"] for each in json.loads(as_json)] == [drill.name for drill in DRILLS]
