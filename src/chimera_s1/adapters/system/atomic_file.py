"""Replaces a file atomically."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
BY_UMASK = 0o666


@contextmanager
def replacing(path: Path, mode: int = OWNER_ONLY) -> Iterator[BinaryIO]:
    """Yields a draft; when the block ends it is synced to disk and replaces *path*. If the block
    raises, *path* stays unchanged. Of several processes that replace one file, the last one wins.
    A symbolic link is followed and kept.
    """
    path = Path(os.path.realpath(path))
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        draft.unlink(missing_ok=True)  # left by a killed writer of the same number
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)  # else a power failure may undo the replacement


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
