"""One SQLite file for all stores.

    async with SqliteDatabase(path) as database:
        ledger = SqliteEventStore(database, "treasury")

It must be in a local directory: network file systems break locks and shared memory. `<path>-wal`,
`<path>-shm` and `<path>.lock` belong to it. Backups: a copy of `<path>` and `<path>-wal` taken at
the same moment (a disk snapshot), or `sqlite3 <path> ".backup <file>"` at any time.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Protocol, Self, TypeAlias, TypeVar

import anyio
from anyio import to_thread

from chimera_s1.adapters.sqlite.process_lock import DatabaseInUseError, ProcessLock
from chimera_s1.adapters.sqlite.reopening_connection import ReopeningConnection
from chimera_s1.adapters.sqlite.schema import (
    SCHEMA_VERSION,
    SQLITE_MIN,
    check_schema,
    create_schema,
)
from chimera_s1.domain.errors import ConfigurationError, StoreUnavailableError

_log = logging.getLogger(__name__)

T = TypeVar("T")
StatementParameters: TypeAlias = Sequence[str | int | float] | Mapping[str, str | int | float]

READERS = 2
BUSY_TIMEOUT_S = 2.0
_OWNER_ONLY = 0o600
_READ_SOMETHING = "SELECT position FROM cursors LIMIT 1"
_WRITE_SOMETHING = f"PRAGMA user_version = {SCHEMA_VERSION}"
_PARTS = ("-wal", "-shm")
"""Files beside the database that SQLite removes when the last connection closes."""


class SqliteAccess(Protocol):
    """What a store needs of `SqliteDatabase`."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    async def execute(
        self, statement: str, parameters: Sequence[StatementParameters] = ((),)
    ) -> int: ...

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T: ...


class SqliteDatabase:
    """Calls run in threads with limits of their own, so that a slow disk delays neither the event
    loop nor other users of threads. A cancelled task waits for its running thread.

    One connection writes. Readers see only committed writes and never wait for the writer.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        allow_unavailable: bool = False,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Args:
        path: The file and its directory are created if they do not exist.

        read_only: Open an existing file, which another process may be writing. Creates nothing;
            writes fail.

        allow_unavailable: If another process has the file, or the disk fails, each later call
            tries to open it.

        busy_timeout_s: Longest wait while another program writes.
        """
        # Independent of the working directory, and the same for every link to the file.
        self._path = path = path.resolve()
        self._read_only = read_only
        self._allow_unavailable = allow_unavailable
        self._is_open = False
        self._write_failed = False
        self._open_lock = Lock()
        self._process_lock = ProcessLock(path)
        self._writer = ReopeningConnection(path, busy_timeout_s=busy_timeout_s, writable=True)
        self._readers = [
            ReopeningConnection(path, busy_timeout_s=busy_timeout_s, writable=False)
            for _ in range(READERS)
        ]
        self._idle_readers: SimpleQueue[ReopeningConnection] = SimpleQueue()
        for reader in self._readers:
            self._idle_readers.put(reader)
        self._write_limiter = anyio.CapacityLimiter(1)
        self._read_limiter = anyio.CapacityLimiter(READERS)

    async def __aenter__(self) -> Self:
        """Raises:
        ConfigurationError: The file is in use (without *allow_unavailable*), not writable, or
            belongs to another program or a newer version; or it does not exist and is opened for
            reading.

        LedgerDamagedError: The file is damaged.

        StoreUnavailableError: The disk is full or fails (without *allow_unavailable*).
        """
        await to_thread.run_sync(self._open_or_postpone, limiter=self._write_limiter)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close, limiter=self._write_limiter)

    @property
    def place(self) -> str:
        return f"SQLite file {self._path}"

    async def check(self) -> None:
        """Implements `domain.ports.store_probe.StoreProbe`: read, or write if the last write has
        failed, as on a full disk, where reading works.
        """
        if self._write_failed:
            await self.write(lambda connection: connection.execute(_WRITE_SOMETHING))
        else:
            await self.read(lambda connection: connection.execute(_READ_SOMETHING).fetchone())

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work* in a transaction, which is durable on return.

        Raises:
            LedgerDamagedError: The file is damaged.
            StoreUnavailableError: SQLite failed; the transaction may or may not be committed.
        """
        return await to_thread.run_sync(self._write, work, limiter=self._write_limiter)

    async def execute(
        self, statement: str, parameters: Sequence[StatementParameters] = ((),)
    ) -> int:
        """Run an INSERT, UPDATE or DELETE once for each element of *parameters*; raises as `write`.

        Returns:
            The number of changed rows.
        """
        return await self.write(
            lambda connection: connection.executemany(statement, parameters).rowcount
        )

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work*, whose statements see every write that has returned.

        Raises:
            LedgerDamagedError: The file is damaged.
            StoreUnavailableError: SQLite failed.
        """
        return await to_thread.run_sync(self._read, work, limiter=self._read_limiter)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert not self._read_only, "opened for reading only"
        self._ensure_open()
        try:
            result = self._writer.run(partial(_in_transaction, work))
        except StoreUnavailableError:
            self._write_failed = True
            raise
        self._write_failed = False
        return result

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._ensure_open()
        reader = self._idle_readers.get()
        try:
            return reader.run(work)
        finally:
            self._idle_readers.put(reader)

    def _open_or_postpone(self) -> None:
        try:
            self._open()
        except (DatabaseInUseError, StoreUnavailableError) as error:
            if not self._allow_unavailable:
                raise
            _log.warning("store unavailable; opening on next use: %s", error)
        else:
            self._is_open = True

    def _ensure_open(self) -> None:
        with self._open_lock:
            if self._is_open:
                return
            try:
                self._open()
            except ConfigurationError as error:
                # The service runs already; the next call tries again.
                raise StoreUnavailableError(str(error)) from error
            self._is_open = True

    def _open(self) -> None:
        if sqlite3.sqlite_version_info < SQLITE_MIN:
            minimum = ".".join(map(str, SQLITE_MIN))
            raise ConfigurationError(
                f"this Python's SQLite {sqlite3.sqlite_version} is too old, {minimum} or later is "
                "required; use another Python build, or ArangoDB"
            )
        if self._read_only:
            self._open_read_only()
            return
        self._process_lock.acquire()
        try:
            self._create_file()
            self._writer.run(partial(create_schema, self._path))
        except BaseException:
            self._close()
            raise

    def _create_file(self) -> None:
        _refuse_parts_without_database(self._path)
        # SQLite would open an unwritable file for reading and leave unwritable files beside it.
        # Only the owner may read the transfers; the -wal file gets the same mode.
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY))
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {self._path}: {error.strerror}; make it writable for this process's "
                "user, or set S1_DB_SQLITE_PATH to another file"
            ) from error

    def _open_read_only(self) -> None:
        if not self._path.exists():
            raise ConfigurationError(
                f"{self._path} does not exist: the service has not created it yet, or "
                "S1_DB_SQLITE_PATH or S1_STATE_DIR points elsewhere"
            )
        try:
            self._readers[0].run(partial(check_schema, self._path))
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        # The writer last: the last connection to close merges the WAL into the database.
        for connection in (*self._readers, self._writer):
            connection.close()
        self._process_lock.release()


def _refuse_parts_without_database(path: Path) -> None:
    """SQLite would start an empty ledger here, and a finished transfer could be sent again."""
    if path.exists() and path.stat().st_size > 0:
        return
    left = [file.name for part in _PARTS if (file := Path(f"{path}{part}")).exists()]
    if left:
        parts = " and ".join(left)
        raise ConfigurationError(
            f"{path} is missing or empty beside a left-over {parts}: the ledger was deleted or "
            "moved, and a new one would send finished transfers again; put the file back or "
            "restore a backup (docs/how-to/keep-the-ledger.md). To give up the old ledger, move "
            f"{parts} away"
        )


def _in_transaction(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")
    return result
