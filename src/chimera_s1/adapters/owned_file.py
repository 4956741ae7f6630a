"""Reads files that grant something: tokens, keys. Others than root and our user cannot change them.

As sshd judges `authorized_keys`: what somebody else put there is not ours.
"""

import os
import stat
from pathlib import Path

from chimera_s1.adapters.regular_file import open_regular, read_bounded
from chimera_s1.domain.errors import InvalidValueError

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def read_owned(path: Path, bytes_max: int) -> tuple[bytes, int]:
    """The content of *path*, at most *bytes_max* bytes, and its mode.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger; `strerror` says which.
        InvalidValueError: Others can change it; the text begins with *path* and ends with what to
            run.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        content = read_bounded(file, path, bytes_max)
    _require_owners_only(path, status)
    directory = Path(os.path.realpath(path)).parent
    _require_owners_directory(path, directory, directory.stat())
    return content, stat.S_IMODE(status.st_mode)


def fingerprint(path: Path) -> tuple[int, ...] | None:
    """Differs after each change that `read_owned` may judge differently; None if there is none."""
    try:
        file = path.stat()
        directory = Path(os.path.realpath(path)).parent.stat()
    except OSError:
        return None
    # The time of a file's status changes with its content, mode and owner.
    return file.st_ctime_ns, file.st_size, file.st_ino, directory.st_mode, directory.st_gid


def _require_owners_only(path: Path, file: os.stat_result) -> None:
    if file.st_mode & _WRITABLE_BY_OTHERS:
        mode = stat.S_IMODE(file.st_mode)
        raise InvalidValueError(
            f"{path} can be changed by other users (mode {mode:04o}); run chmod go-w {path}"
        )
    if file.st_uid not in {0, os.geteuid()}:
        raise InvalidValueError(
            f"{path} belongs to another user (uid {file.st_uid}), who can change it; "
            f"run chown {os.geteuid()} {path}"
        )


def _require_owners_directory(path: Path, directory: Path, parent: os.stat_result) -> None:
    """With the sticky bit, as of temporary files, others cannot replace the file. The process's own
    group counts as its user's own: many systems set it up so.
    """
    others = stat.S_IWOTH if parent.st_gid == os.getegid() else _WRITABLE_BY_OTHERS
    if parent.st_mode & others and not parent.st_mode & stat.S_ISVTX:
        raise InvalidValueError(
            f"{path}: other users can replace it, because they can write {directory} "
            f"(mode {stat.S_IMODE(parent.st_mode):04o}); run chmod go-w {directory}"
        )
