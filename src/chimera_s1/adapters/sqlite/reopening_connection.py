"""A connection that is opened when it is needed, and anew after it has failed."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from chimera_s1.adapters.sqlite.errors import sqlite_errors
from chimera_s1.domain.errors import StoreUnavailableError

T = TypeVar("T")

_EACH_CONNECTION = (
    # With NORMAL the last commits may vanish with the machine's power.
    "PRAGMA synchronous = FULL",
    # Where fsync stops at the drive's cache (macOS).
    "PRAGMA fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    # After a long read a WAL shrinks to this again.
    "PRAGMA journal_size_limit = 67108864",
)

_PUT_BACK = "put back the one that was there, or end this process before you change it"


class LastingConnection:
    """Used from threads, one at a time."""

    def __init__(self, path: Path, *, patience_s: float, writes: bool) -> None:
        """Args:
        path: The database, absolute.

        patience_s: How long to wait for another program's lock, s.

        writes: False opens it for reading only.
        """
        self._path = path
        self._patience_s = patience_s
        self._writes = writes
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        # The caller sees to it that nobody waits here, unless it was torn off a thread.
        self._in_use = Lock()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* makes of the connection.

        Raises:
            LedgerDamagedError: The file is damaged.

            StoreUnavailableError: SQLite failed, and the next call has a new connection; or the
                file is another one than at the first call.
        """
        with self._in_use, sqlite_errors(self._path):
            self._check_place()
            try:
                return work(self._open())
            except sqlite3.Error:
                self._drop()
                raise

    def close(self) -> None:
        """Close, after whoever uses it."""
        with self._in_use:
            self._drop()

    def _check_place(self) -> None:
        # Otherwise we would go on writing into a file that has no name any more.
        try:
            found = self._path.stat()
        except OSError as error:
            raise StoreUnavailableError(f"{self._path}: {error.strerror}; {_PUT_BACK}") from error
        file = found.st_dev, found.st_ino
        if self._file not in {None, file}:
            raise StoreUnavailableError(f"{self._path} was replaced while in use; {_PUT_BACK}")
        self._file = file

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode={'rwc' if self._writes else 'ro'}",
                uri=True,
                timeout=self._patience_s,
                isolation_level=None,
                check_same_thread=False,
            )
            for statement in _EACH_CONNECTION:
                self._connection.execute(statement)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What was begun is rolled back by closing, whatever closing says.
            with contextlib.suppress(sqlite3.Error):
                connection.close()
