"""Only regular files are opened, without waiting for a writer."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from chimera_s1.adapters.regular_file import open_regular, read_regular


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a FIFO"),
        (_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_anything_but_a_regular_file_is_refused_and_named(
    make: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    make(path)

    with pytest.raises(OSError, match=f"{kind}.*, not a regular file"):
        open_regular(path)


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"content")
    (tmp_path / "link").symlink_to("target")

    assert read_regular(tmp_path / "link", 7) == b"content"


def test_a_file_above_its_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"12345678")

    with pytest.raises(OSError, match="larger than 7 bytes"):
        read_regular(path, 7)
