import stat
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.app.cli.demo.processes import demo_environ
from chimera_s1.app.state_files import (
    DemoState,
    demo_file,
    demo_lock,
    read_demo_settings,
    read_demo_state,
    remove_demo_state,
    write_demo_state,
)
from chimera_s1.domain.errors import ConfigurationError

STATE = DemoState(
    url="http://127.0.0.1:8080",
    token="a-token",
    redis_addresses=(RedisAddress("127.0.0.1", 7000),),
    sim_url="http://127.0.0.1:9000",
    s10_url="http://127.0.0.1:9001",
)


def test_demo_env_has_the_five_lines_that_scripts_rely_on(tmp_path: Path) -> None:
    write_demo_state(tmp_path, STATE, {})
    assert demo_file(tmp_path).read_text() == (
        "S1_URL=http://127.0.0.1:8080\n"
        "S1_TOKEN=a-token\n"
        "S1_REDIS_ADDRESSES=127.0.0.1:7000\n"
        "SIM_URL=http://127.0.0.1:9000\n"
        "S10_URL=http://127.0.0.1:9001\n"
    )


def test_demo_env_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_demo_state(tmp_path, STATE, {"S1_SYMBOLS": "*"})
    write_demo_state(tmp_path, STATE, {"S1_SYMBOLS": "*"})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_the_state_can_be_read_while_the_demo_runs(tmp_path: Path) -> None:
    settings = {"S1_SYMBOLS": "*", "S1_HTTP_PORT": "0"}
    with demo_lock(tmp_path):
        assert read_demo_state(tmp_path) is None
        write_demo_state(tmp_path, STATE, settings)
        assert read_demo_state(tmp_path) == STATE
        assert read_demo_settings(tmp_path) == settings
        remove_demo_state(tmp_path)
        assert read_demo_state(tmp_path) is None


def test_a_file_of_a_killed_demo_is_an_error(tmp_path: Path) -> None:
    with demo_lock(tmp_path):
        write_demo_state(tmp_path, STATE, {})
    with pytest.raises(ConfigurationError, match="left behind by a demo that was killed"):
        read_demo_state(tmp_path)


def test_a_file_without_a_line_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    with demo_lock(tmp_path):
        demo_file(tmp_path).write_text("S1_URL=http://127.0.0.1:8080\n")
        with pytest.raises(ConfigurationError, match="has no line S1_TOKEN="):
            read_demo_state(tmp_path)


def test_a_directory_has_one_demo_at_a_time(tmp_path: Path) -> None:
    with (
        demo_lock(tmp_path / "new"),
        pytest.raises(ConfigurationError, match="a demo already runs"),
        demo_lock(tmp_path / "new"),
    ):
        pass
    with demo_lock(tmp_path / "new"):
        assert read_demo_state(tmp_path / "new") is None


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        demo_lock(file / "below"),
    ):
        pass


def test_the_token_is_not_in_the_repr() -> None:
    assert STATE.token not in repr(STATE)


def test_a_demo_inherits_no_address_or_secret_of_a_real_exchange_or_redis() -> None:
    environ = {
        "PATH": "/bin",
        "S1_CONFLATION_MS": "250",
        "S1_REDIS_SERVER": "/opt/redis-server",
        "S1_REDIS_ADDRESSES": "prod:6379",
        "S1_REDIS_PASS": "secret",
        "S1_REDIS_EMBEDDED_PORT": "7000",
        "S1_REDIS_EMBEDDED_MAXLEN": "50",
        "S1_BINANCE_ENV": "live",
        "S1_BINANCE_SPOT_WS_URL": "wss://stream.binance.com:9443",
    }
    assert demo_environ(environ) == {
        "PATH": "/bin",
        "S1_CONFLATION_MS": "250",
        "S1_REDIS_SERVER": "/opt/redis-server",
        "S1_REDIS_EMBEDDED_MAXLEN": "50",
    }
