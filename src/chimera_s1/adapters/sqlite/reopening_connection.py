"""A connection that is opened when it is needed, and anew after it has failed."""

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
    # With NORMAL the last commits may vanish with the machine's power.
    "PRAGMA synchronous = FULL",
    # Where fsync stops at the drive's cache (macOS).
    "PRAGMA fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    # After a long read a WAL shrinks to this again.
    "PRAGMA journal_size_limit = 67108864",
)

_RESTORE_FILE_ADVICE = "put back the one that was there, or end this process before you change it"


class ReopeningConnection:
    """Used from threads, one at a time."""

    def __init__(self, path: Path, *, busy_timeout_s: float, writable: bool) -> None:
        """Args:
        path: The database, absolute.

        busy_timeout_s: How long to wait for another program's lock, s.

        writable: False opens it for reading only.
        """
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._writable = writable
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None
        # The caller sees to it that nobody waits here, unless it was torn off a thread.
        self._lock = Lock()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* makes of the connection.

        Raises:
            LedgerDamagedError: The file is damaged.

            StoreUnavailableError: SQLite failed, and the next call has a new connection; or the
                file is another one than at the first call.
        """
        with self._lock, translate_sqlite_errors(self._path):
            self._check_same_file()
            try:
                return work(self._opened())
            except sqlite3.Error:
                self._discard()
                raise

    def close(self) -> None:
        """Close, after whoever uses it."""
        with self._lock:
            self._discard()

    def _check_same_file(self) -> None:
        # Otherwise we would go on writing into a file that has no name any more.
        try:
            found = self._path.stat()
        except OSError as error:
            raise StoreUnavailableError(
                f"{self._path}: {error.strerror}; {_RESTORE_FILE_ADVICE}"
            ) from error
        file = found.st_dev, found.st_ino
        if self._file_id not in {None, file}:
            raise StoreUnavailableError(
                f"{self._path} was replaced while in use; {_RESTORE_FILE_ADVICE}"
            )
        self._file_id = file

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
            # What was begun is rolled back by closing, whatever closing says.
            with contextlib.suppress(sqlite3.Error):
                connection.close()
