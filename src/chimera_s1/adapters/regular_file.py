"""Opens files that somebody else may have put there: regular files only, of bounded size.

A device has no end, a FIFO has no writer, and both would be read for ever.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

SMALL_FILE_BYTES_MAX = 1 << 20
"""Of files that people write: settings, certificates, scenarios."""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO (named pipe)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a block device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open *path* for reading, without waiting.

    Raises:
        OSError: It cannot be opened, or is not a regular file; `strerror` says which.
    """
    _require_regular(path, path.stat().st_mode)  # before opening: that alone may act on a device
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, bytes_max: int) -> bytes:
    """The content of *path*, at most *bytes_max* bytes.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger; `strerror` says which.
    """
    with open_regular(path) as file:
        return read_bounded(file, path, bytes_max)


def read_bounded(file: BinaryIO, path: Path, bytes_max: int) -> bytes:
    """As `read_regular`, of an open *file*."""
    content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise OSError(errno.EFBIG, f"larger than {bytes_max} bytes", str(path))
    return content


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "not a file")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", str(path))
