"""One SQLite file for everything that is kept.

    async with SqliteDatabase(path) as database:
        ledger = SqliteEventStore(database, "treasury")

It must be in a local directory: network file systems break locks and shared memory. Beside it are
`<path>-wal` and `<path>-shm`, which belong to it, and `<path>.lock`. A copy of the first two taken
at one moment (a snapshot of the disk) is a backup; so is what `sqlite3 <path> ".backup <file>"`
makes at any time.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import anyio
from anyio import to_thread

from chimera_s1.adapters.sqlite.process_lock import ProcessLock
from chimera_s1.adapters.sqlite.reopening_connection import ReopeningConnection
from chimera_s1.adapters.sqlite.schema import SQLITE_MIN, check_schema, create_schema
from chimera_s1.domain.errors import ConfigurationError

T = TypeVar("T")
StatementParameters: TypeAlias = Sequence[str | int | float] | Mapping[str, str | int | float]

READERS_MAX = 2
BUSY_TIMEOUT_S = 2.0
_OWNER_ONLY = 0o600


class SqliteDatabase:
    """Calls run in threads of their own limits, so that neither a slow disk nor other users of
    threads hold up the loop or each other. What was begun is never abandoned: a task cancelled
    meanwhile waits for its thread, and is cancelled after.

    One connection writes; those that read never see half of a write, and never wait for it.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        readers: int = READERS_MAX,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Args:
        path: The file; it and its directory are made where there are none.

        read_only: Look at the file of another process, which may be writing it, or of none.
            Nothing is made, and whatever would change something fails.

        readers: How many reads run at once.

        busy_timeout_s: How long to wait while another program writes, s.
        """
        # Whatever becomes of the working directory, and however many names the file has.
        self._path = path = path.resolve()
        self._read_only = read_only
        self._process_lock = ProcessLock(path)
        self._writer = ReopeningConnection(path, busy_timeout_s=busy_timeout_s, writable=True)
        self._readers = [
            ReopeningConnection(path, busy_timeout_s=busy_timeout_s, writable=False)
            for _ in range(readers)
        ]
        self._idle_readers: SimpleQueue[ReopeningConnection] = SimpleQueue()
        for reader in self._readers:
            self._idle_readers.put(reader)
        self._write_limiter = anyio.CapacityLimiter(1)
        self._read_limiter = anyio.CapacityLimiter(readers)

    async def __aenter__(self) -> Self:
        """Raises:
        ConfigurationError: The file is in use, in a place that cannot be written, not ours, or
            a newer version's; or it is not there, and is to be read only.

        LedgerDamagedError: It is damaged.

        StoreUnavailableError: The disk is full, or fails.
        """
        await to_thread.run_sync(self._open, limiter=self._write_limiter)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close, limiter=self._write_limiter)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* gives, run in a transaction that is durable when this returns.

        Raises:
            LedgerDamagedError: The file is damaged.

            StoreUnavailableError: SQLite failed; whether the transaction is there is unknown.
        """
        return await to_thread.run_sync(self._write, work, limiter=self._write_limiter)

    async def execute(
        self, statement: str, parameters: Sequence[StatementParameters] = ((),)
    ) -> int:
        """`write` for one statement that changes something.

        Args:
            statement: An INSERT, UPDATE or DELETE.

            parameters: What to put for its placeholders, each time it is run.

        Returns:
            How many rows it has changed.
        """
        return await self.write(
            lambda connection: connection.executemany(statement, parameters).rowcount
        )

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* gives; each statement sees every write that has returned.

        Raises:
            LedgerDamagedError: The file is damaged.

            StoreUnavailableError: SQLite failed.
        """
        return await to_thread.run_sync(self._read, work, limiter=self._read_limiter)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert not self._read_only, "opened for reading only"
        return self._writer.run(partial(_in_transaction, work))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        reader = self._idle_readers.get()
        try:
            return reader.run(work)
        finally:
            self._idle_readers.put(reader)

    def _open(self) -> None:
        if sqlite3.sqlite_version_info < SQLITE_MIN:
            wanted = ".".join(map(str, SQLITE_MIN))
            raise ConfigurationError(
                f"this Python's SQLite is {sqlite3.sqlite_version}, and {wanted} is needed; use "
                "another Python, or an ArangoDB"
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
        # Before SQLite would open it for reading only, and leave files beside it that nobody may
        # write. Others need not read who moved how much; the -wal file gets the same mode.
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY))
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {self._path}: {error.strerror}; let this process's user write it, "
                "or set S1_DB_SQLITE_PATH to another file"
            ) from error

    def _open_read_only(self) -> None:
        if not self._path.exists():
            raise ConfigurationError(
                f"{self._path} is not there: no service has made it yet, or S1_DB_SQLITE_PATH or "
                "S1_STATE_DIR names another place"
            )
        try:
            self._readers[0].run(partial(check_schema, self._path))
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        # The writer last: whoever closes last folds the WAL into the database, and only one
        # connection ever does that.
        for connection in (*self._readers, self._writer):
            connection.close()
        self._process_lock.release()


def _in_transaction(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")
    return result
