"""One process per database: the lock on `<path>.lock` lasts as long as the process."""

import contextlib
import fcntl
import os
from pathlib import Path

from chimera_s1.domain.errors import ConfigurationError

_OWNER_ONLY = 0o600


class DatabaseInUseError(ConfigurationError):
    """Another process has the database open."""


class ProcessLock:
    """The kernel releases the lock when the process ends, even after kill -9. The file stays: if it
    were removed, two processes could lock two files of the same name.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.lock")
        self._file_descriptor: int | None = None

    def acquire(self) -> None:
        """Lock, and create the directory if it does not exist.

        Raises:
            DatabaseInUseError: Another process has it.
            ConfigurationError: The directory is not writable.
        """
        file = self._open_file()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "?"
            os.close(file)
            raise DatabaseInUseError(
                f"{self._database} is in use by process {holder} (lock {self._path}); stop that "
                "process, set S1_DB_SQLITE_PATH to another file, or use ArangoDB for several "
                "instances"
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file_descriptor = file

    def release(self) -> None:
        """Does nothing without a lock."""
        if self._file_descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._file_descriptor)
            self._file_descriptor = None

    def _open_file(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError as error:
            raise ConfigurationError(
                f"cannot open {self._path}: {error.strerror}; set S1_DB_SQLITE_PATH to a file in a "
                "local directory that this process's user may write"
            ) from error
