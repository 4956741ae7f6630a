"""Settings are judged after the options of a command are merged in."""

import fcntl
import os
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from chimera_s1.adapters.market_file import MarketFileWriter
from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.app.cli import application
from chimera_s1.app.cli.demo.processes import demo_environ
from chimera_s1.app.cli.doctor.checks import _settings_to_check
from chimera_s1.app.cli.drill.run import DrillOptions, find_target
from chimera_s1.app.cli.ledger.take_account import settings_to_take
from chimera_s1.app.cli.shared.options import settings_with, settings_with_redis
from chimera_s1.app.cli.shared.stream_store_location import settings_with_stream_store
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.state_files import DemoState, write_demo_state
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import Venue

NODE = "127.0.0.1:1"
"""Nothing listens there."""

NEEDS_A_REDIS = {
    "drill": ("--url", f"http://{NODE}", "--sim", f"http://{NODE}", "disconnect"),
    "replay": ("market.jsonl",),
    "tail": ("--once",),
}
"""Commands with `--redis`, and what else they need to get as far as connecting."""

TLS_ONLY = {"S1_REDIS_TLS": "true", "S1_REDIS_PASS": "secret"}
"""Wrong alone: the embedded Redis has no TLS."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("S1_")]:
        monkeypatch.delenv(name)
    for name, value in TLS_ONLY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def commands_with(option: str) -> set[str]:
    group = typer.main.get_command(application.app)
    assert isinstance(group, TyperGroup)
    return {
        name
        for name, command in group.commands.items()
        if any(option in parameter.opts for parameter in command.params)
    }


@pytest.mark.parametrize("command", sorted(commands_with("--redis")))
def test_named_nodes_satisfy_what_needs_them(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gets as far as connecting."""
    with MarketFileWriter(Path("market.jsonl")) as file:
        file.write(1, Venue.SPOT, b'{"stream":"btcusdt@bookTicker","data":{}}')

    code = application.run_command([command, "--redis", NODE, *NEEDS_A_REDIS[command]])

    shown = capsys.readouterr().err
    assert code == 1, shown
    assert f"Redis {NODE} (from --" in shown
    assert "wrong" not in shown


@pytest.mark.parametrize("command", sorted(commands_with("--redis")))
def test_malformed_nodes_are_about_the_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("market.jsonl").touch()

    code = application.run_command([command, "--redis", "no-port", *NEEDS_A_REDIS[command]])

    assert code == 2
    shown = capsys.readouterr().err
    assert "no-port" in shown
    assert "S1_REDIS_TLS" not in shown


def test_an_embedded_redis_has_no_tls_and_no_users() -> None:
    settings = settings_with_redis(None, None)

    assert (settings.redis_tls, settings.redis_pass) == (False, None)


def test_named_nodes_keep_tls_and_password() -> None:
    settings = settings_with_redis(None, NODE)

    assert settings.redis_tls
    assert settings.redis_pass is not None
    with pytest.raises(InvalidValueError, match="no-port"):
        settings_with_redis(None, "no-port")


def test_what_no_option_mends_is_still_refused() -> None:
    with pytest.raises(ConfigurationError, match="S1_REDIS_TLS"):
        settings_with()


def test_the_demos_redis_is_used_without_the_tls_of_the_environment(tmp_path: Path) -> None:
    """By tail, drill, doctor and take-account."""
    address = RedisAddress("127.0.0.1", 7000)
    state = DemoState("http://127.0.0.1:8080", "token", (address,), "http://127.0.0.1:8081")
    write_demo_state(tmp_path, state, {"S1_SYMBOLS": "BTCUSDT", "S1_STATE_DIR": "elsewhere"})
    with (tmp_path / "demo.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tailed, location = settings_with_stream_store(None, tmp_path)
        target = find_target(
            settings_with_redis(tmp_path, None),
            DrillOptions((), as_json=False, url=None, sim=None, redis=None),
        )
        to_check, _ = _settings_to_check(TLS_ONLY, tmp_path)
        to_take = settings_to_take(tmp_path, TLS_ONLY)

    assert location == target.redis
    for settings in (tailed, to_check, to_take):
        assert (settings.redis_tls, settings.redis_pass) == (False, None)
        assert settings.state_dir == tmp_path


def test_a_demo_is_judged_without_the_real_redis() -> None:
    assert not load_settings(demo_environ(TLS_ONLY)).redis_tls
