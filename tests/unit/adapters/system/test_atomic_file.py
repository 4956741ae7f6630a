"""Replacing a file atomically."""

import os
import stat
from pathlib import Path

import pytest

from chimera_s1.adapters.system.atomic_file import BY_UMASK, replacing


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def interrupted(path: Path, error: BaseException) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise error


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_old_content_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError(), KeyboardInterrupt()])
def test_a_block_that_raises_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    with pytest.raises(type(error)):
        interrupted(path, error)

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_mode_is_owner_only_or_by_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for name, modes in (("own", ()), ("shared", (BY_UMASK,))):
            with replacing(tmp_path / name, *modes):
                pass
    finally:
        os.umask(before)

    assert (mode_of(tmp_path / "own"), mode_of(tmp_path / "shared")) == (0o600, 0o640)


def test_an_existing_draft_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither its content nor its mode is kept, and a symbolic link is not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    (tmp_path / f"file.{os.getpid()}.draft").symlink_to(elsewhere)

    with replacing(tmp_path / "file") as file:
        file.write(b"new")

    assert elsewhere.read_bytes() == b"untouched"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    assert mode_of(tmp_path / "file") == 0o600


def test_a_draft_of_another_process_is_left_alone(tmp_path: Path) -> None:
    """Two processes that replace one file both succeed, whichever comes last wins."""
    other = tmp_path / f"file.{os.getpid() + 1}.draft"
    other.write_bytes(b"half of the other's")

    with replacing(tmp_path / "file") as file:
        file.write(b"ours")

    assert other.read_bytes() == b"half of the other's"
    assert (tmp_path / "file").read_bytes() == b"ours"


def test_a_missing_directory_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "missing" / "file"):
        raise AssertionError("the block was entered")
