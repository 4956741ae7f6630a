"""The command line as real processes: exit codes, plain output in a pipe, no tracebacks."""

import json
import signal
from pathlib import Path

import pytest

from tests.contract.service_process import redis_at
from tests.processes import chimera_process, finished, simulator_process

COMMANDS = (
    "serve",
    "demo",
    "simulate",
    "tokens",
    "transfer",
    "entries",
    "ledger",
    "record",
    "replay",
    "tail",
    "config",
    "doctor",
    "drill",
)
ESCAPE = "\x1b"
SECRET = "hunter2-never-shown"
UNREACHABLE_SPOT = {
    "S1_BINANCE_ENV": "simulator",
    "S1_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1",
    "S1_BINANCE_SPOT_WS_URL": "ws://127.0.0.1:1",
}


def endpoints(simulator: dict[str, str]) -> dict[str, str]:
    """The settings for a running simulator."""
    urls = {
        f"S1_BINANCE_{name.upper()}": url
        for name, url in simulator.items()
        if name.endswith("_url") and name != "control_url"
    }
    return {"S1_BINANCE_ENV": "simulator", **urls}


async def test_help_names_every_command_in_groups_and_the_exit_codes() -> None:
    code, out, err = await finished("--help")
    assert (code, err) == (0, "")
    assert not [name for name in COMMANDS if f" {name} " not in out]
    groups = ("Run", "Market data", "Treasury and orders", "Inspect")
    assert [out.index(f"─ {group} ─") for group in groups]
    assert "Exit codes: 0 done" in out
    assert ESCAPE not in out


@pytest.mark.parametrize("command", COMMANDS)
async def test_each_command_has_help_of_its_own(command: str) -> None:
    code, out, err = await finished(command, "-h")
    assert (code, err) == (0, "")
    assert f"chimera-s1 {command}" in out
    assert ESCAPE not in out


async def test_the_version_is_one_line() -> None:
    code, out, _ = await finished("--version")
    assert code == 0
    assert out.startswith("chimera-s1 ")
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("confg",),
        ("config", "--nope"),
        ("tail", "--count", "many"),
        ("tail", "BTC USDT"),
        ("tail", "--redis", "nowhere"),
        ("replay", "not-there.jsonl"),
        ("record",),
    ],
    ids=" ".join,
)
async def test_a_wrong_argument_is_exit_code_2_without_a_traceback(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    code, out, err = await finished(*arguments, environment={"S1_STATE_DIR": str(tmp_path)})
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["serve", "config", "demo", "tail", "doctor"])
async def test_all_wrong_settings_are_listed(command: str) -> None:
    environment = {"S1_HTTP_PORT": "eighty", "S1_SYMBOL": "BTCUSDT", "S1_REDIS_PASS": SECRET}
    code, out, err = await finished(command, environment=environment)
    text = out + err
    assert code == (1 if command == "doctor" else 2)
    assert "S1_HTTP_PORT='eighty'" in text
    assert "S1_SYMBOL: no such setting; did you mean S1_SYMBOLS?" in text
    assert "Traceback" not in text
    assert SECRET not in text


async def test_config_prints_each_setting_in_force_on_a_line() -> None:
    environment = {"S1_HTTP_PORT": "8081", "S1_REDIS_PASS": SECRET}
    code, out, err = await finished("config", environment=environment)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("S1_HTTP_PORT=8081  # environment")]
    assert [line for line in lines if line.startswith("S1_REDIS_PASS=***  # environment")]
    assert [line for line in lines if line.startswith("S1_SYMBOLS=BTCUSDT,ETHUSDT  # default")]
    assert all(line.startswith("S1_") for line in lines)
    assert SECRET not in out


async def test_config_as_json_has_a_row_for_each_setting() -> None:
    code, out, _ = await finished("config", "--json", environment={"S1_REDIS_PASS": SECRET})
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["S1_REDIS_PASS"]["value"] == "***"
    assert rows["S1_HTTP_PORT"]["value"] == "8080"
    assert {row["origin"] for row in rows.values()} == {"default", "environment"}


async def test_tail_without_a_redis_says_what_to_do(tmp_path: Path) -> None:
    code, out, err = await finished("tail", "--state-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith("error: no Redis to read")
    assert "--redis host:port" in err


async def test_tail_fails_with_one_sentence_when_redis_is_down() -> None:
    code, _, err = await finished("tail", "--once", "--redis", "127.0.0.1:1")
    assert code == 1
    assert "reading Redis 127.0.0.1:1 (from --redis)" in err
    assert "error: Redis: " in err
    assert "Traceback" not in err


async def test_a_recording_replays_to_the_same_digest_each_time(tmp_path: Path) -> None:
    """A recording of the simulator, replayed twice at full speed, gives one digest."""
    file = tmp_path / "quotes.jsonl.zst"
    async with simulator_process("--symbols", "BTCUSDT,ETHUSDT", "--rate", "2000") as simulator:
        environment = {**endpoints(simulator.ready), "S1_CONFLATION_MS": "50"}
        code, out, err = await finished(
            "record", str(file), "--messages", "500", environment=environment
        )
        assert code == 0, err
        assert out == f"{file}: 500 messages\n"
        code, _, err = await finished("record", str(file), environment=environment)
        assert code == 2
        assert "--overwrite" in err
    replays = []
    for _ in range(2):
        code, out, err = await finished(
            "replay", str(file), "--speed", "max", "--state-dir", str(tmp_path)
        )
        assert code == 0, err
        replays.append(dict(line.split(maxsplit=1) for line in out.splitlines()))
    assert replays[0] == replays[1]
    assert replays[0]["messages"] == "500 of 500"
    assert int(replays[0]["entries"]) > 0
    assert int(replays[0]["entries"]) + int(replays[0]["conflated"]) == 500
    assert len(replays[0]["digest"]) == 64


RECORDED = (
    '{"ts":1772514460000,"venue":"spot","msg":{"stream":"btcusdt@bookTicker","data":'
    '{"u":1,"s":"BTCUSDT","b":"67403.80","B":"1","a":"67403.90","A":"2"}}}\n'
)


async def test_a_file_never_goes_below_newer_entries(tmp_path: Path) -> None:
    """The streams are read before the first write; `--rebase` moves the file to now."""
    file = tmp_path / "one.jsonl"
    file.write_text(RECORDED)
    state = ("--state-dir", str(tmp_path))
    async with chimera_process("replay", str(file), "--hold", "--json", *state) as replay:
        (address,) = replay.ready["redis_addresses"]
        into = ("--into", address, *state)
        code, out, err = await finished("replay", str(file), *into)
        assert (code, out) == (2, "")
        assert f"replaying 1 messages onto Redis {address} (from --into)" in err
        assert "error: newer entries than the file are already in mkt:events:spot:BTCUSDT;" in err

        async with redis_at(int(address.rpartition(":")[2])) as redis:
            await redis.hset("s1:lease:publisher:live:spot", "owner", "host-1-a")
            code, _, err = await finished("replay", str(file), "--rebase", *into)
            assert code == 2
            assert "a service publishes on this cluster (publisher lease live:spot)" in err
            await redis.delete("s1:lease:publisher:live:spot")

        code, out, err = await finished("replay", str(file), "--rebase", *into)
        assert code == 0, err
        assert "entries   1" in out


async def test_a_file_without_a_book_fails_after_its_result(tmp_path: Path) -> None:
    file = tmp_path / "trades.jsonl"
    file.write_text(RECORDED.replace("@bookTicker", "@trade"))
    code, out, err = await finished("replay", str(file), "--state-dir", str(tmp_path))
    assert code == 2
    assert "dropped   1 not_a_book" in out
    assert f"error: {file}: none of its 1 messages gave a quote" in err


async def test_a_damaged_file_is_refused_and_the_line_named(tmp_path: Path) -> None:
    file = tmp_path / "damaged.jsonl"
    file.write_text(RECORDED + '{"ts": 12\n')
    code, out, err = await finished("replay", str(file), "--state-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {file}, line 2: ")
    assert not (tmp_path / "redis").exists(), "nothing was started"


async def test_damaged_lines_are_skipped_and_counted_with_skip_bad(tmp_path: Path) -> None:
    file = tmp_path / "damaged.jsonl"
    file.write_text(RECORDED + '{"ts": 12\n')
    code, out, err = await finished("replay", str(file), "--skip-bad", "--state-dir", str(tmp_path))
    assert code == 0, err
    assert "bad lines 1" in out
    assert "entries   1" in out
    assert f"{file}, line 2: " in err


async def test_a_held_replay_can_be_read_until_ctrl_c(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(RECORDED)
    async with chimera_process(
        "replay", str(file), "--hold", "--json", "--state-dir", str(tmp_path)
    ) as replay:
        assert replay.ready["entries"] == 1
        (address,) = replay.ready["redis_addresses"]
        code, out, err = await finished("tail", "--once", "--redis", address)
        assert code == 0, err
        header, line = out.splitlines()
        assert header.split()[0] == "instrument"
        assert line.split()[:3] == ["spot/BTCUSDT", "67403.8", "67403.9"]
        assert line.split()[-2:] == ["SILENT", "replay.spot.bookTicker"]
        assert await replay.stop(signal.SIGINT) == 0


async def test_a_simulator_exits_with_0_on_ctrl_c() -> None:
    async with simulator_process("--symbols", "BTCUSDT") as simulator:
        assert await simulator.stop(signal.SIGINT) == 0


async def test_doctor_names_each_failure_and_its_remedy(tmp_path: Path) -> None:
    """Every address is unreachable; the checks of this machine still pass."""
    unreachable = {
        "S1_BINANCE_ENV": "simulator",
        "S1_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1",
        "S1_BINANCE_SPOT_WS_URL": "ws://127.0.0.1:1",
        "S1_BINANCE_PERP_REST_URL": "http://127.0.0.1:1",
        "S1_BINANCE_PERP_WS_URL": "ws://127.0.0.1:1",
        "S1_REDIS_ADDRESSES": "127.0.0.1:1",
        "S1_HTTP_PORT": "0",
        "S1_STATE_DIR": str(tmp_path),
    }
    code, out, _ = await finished("doctor", "--json", environment=unreachable)
    findings = {row["name"]: row for row in json.loads(out)}
    assert code == 1
    failed = {name for name, row in findings.items() if row["grade"] == "FAIL"}
    assert failed == {"redis", "clock spot", "symbols spot", "clock perp", "symbols perp"}
    assert all(findings[name]["remedy"] for name in failed)
    assert findings["state dir"]["grade"] == "OK"


async def test_doctor_judges_every_host_that_a_key_needs(tmp_path: Path) -> None:
    """Also those of a venue that is not served; the service would not start."""
    environment = {
        "S1_VENUES": "perp",
        "S1_BINANCE_KEY": "k",
        "S1_BINANCE_SECRET": SECRET,
        "S1_EGRESS_ALLOW": "fapi.binance.com,fstream.binance.com,"
        "api.binance.com,stream.binance.com",
        "S1_REDIS_ADDRESSES": "127.0.0.1:1",
        "S1_STATE_DIR": str(tmp_path),
    }
    code, out, _ = await finished("doctor", "--json", environment=environment)
    [_, settings] = json.loads(out)
    assert (code, settings["name"], settings["grade"]) == (1, "settings", "FAIL")
    assert "ws-api.binance.com" in settings["detail"]
    assert SECRET not in out


async def test_doctor_finds_a_healthy_exchange_and_an_unknown_symbol(tmp_path: Path) -> None:
    async with simulator_process("--symbols", "BTCUSDT") as simulator:
        environment = {
            **endpoints(simulator.ready),
            "S1_SYMBOLS": "BTCUSDT,spot/NOPEUSDT",
            "S1_HTTP_PORT": "0",
            "S1_STATE_DIR": str(tmp_path),
        }
        code, out, err = await finished("doctor", environment=environment)
    assert code == 0, out + err
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("OK   stream spot")]
    assert [line for line in lines if line.startswith("OK   stream perp")]
    assert [line for line in lines if line.startswith("WARN symbols spot")]
    assert [line for line in lines if line.strip() == "-> correct S1_SYMBOLS"]
    assert (
        "OK   account        not read, and no order is followed: S1_BINANCE_KEY is not set" in lines
    )
    assert ESCAPE not in out


async def test_doctor_detects_an_unwritable_state_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    environment = {"S1_STATE_DIR": str(file), "S1_VENUES": "spot"}
    code, out, _ = await finished("doctor", environment={**environment, **UNREACHABLE_SPOT})
    assert code == 1
    assert f"FAIL state dir      {file} cannot be written" in out
