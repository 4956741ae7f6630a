"""A connection that opens on first use and again after an error."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from chimera_s1.adapters.sqlite.errors import translate_sqlite_errors
from chimera_s1.domain.errors import StoreUnavailableError

T = TypeVar("T")

_CONNECTION_PRAGMAS = (
    # NORMAL may lose the last commits at a power failure.
    "PRAGMA synchronous = FULL",
    # For macOS, where fsync does not flush the drive's cache.
    "PRAGMA fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    # Bytes the WAL is cut back to, after a long read has let it grow.
    "PRAGMA journal_size_limit = 67108864",
)

_RESTORE_FILE_ADVICE = "restore the original file, or stop this process before replacing it"


class ReopeningConnection:
    """Used from threads, one at a time."""

    def __init__(self, path: Path, *, busy_timeout_s: float, writable: bool) -> None:
        """Args:
        path: Absolute.

        busy_timeout_s: Longest wait for another program's lock.
        """
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._writable = writable
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None
        # The caller's limiter allows one call at a time. The lock also covers a thread that still
        # runs after its task has ended.
        self._lock = Lock()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises:
        LedgerDamagedError: The file is damaged.

        StoreUnavailableError: SQLite failed, and the next call opens a new connection; or the file
            is not the one of the first call.
        """
        with self._lock, translate_sqlite_errors(self._path):
            self._check_same_file()
            try:
                return work(self._opened())
            except sqlite3.Error:
                self._discard()
                raise

    def close(self) -> None:
        """Close after the running call, if any."""
        with self._lock:
            self._discard()

    def _check_same_file(self) -> None:
        # Otherwise commits would go into a deleted file.
        try:
            found = self._path.stat()
        except OSError as error:
            raise StoreUnavailableError(
                f"{self._path}: {error.strerror}; {_RESTORE_FILE_ADVICE}"
            ) from error
        file_id = found.st_dev, found.st_ino
        if self._file_id not in {None, file_id}:
            raise StoreUnavailableError(
                f"{self._path} was replaced by another file while in use; {_RESTORE_FILE_ADVICE}"
            )
        self._file_id = file_id

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode={'rwc' if self._writable else 'ro'}",
                uri=True,
                timeout=self._busy_timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            for statement in _CONNECTION_PRAGMAS:
                self._connection.execute(statement)
        return self._connection

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing rolls back an open transaction, even if it raises.
            with contextlib.suppress(sqlite3.Error):
                connection.close()
