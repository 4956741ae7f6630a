"""The SQLite file: opening, access, transactions and errors."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from threading import Event

import anyio
import pytest
from anyio import from_thread

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.installation_store import SqliteInstallationStore
from chimera_s1.adapters.sqlite.schema import SCHEMA_VERSION
from chimera_s1.domain.errors import ConfigurationError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ports.installation_store import InstallationFact
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S

INSERT_CURSOR = "INSERT INTO cursors VALUES (?, 1)"
THREAD_S = 2 * TIMEOUT_S
"""Longest wait of a thread for its test."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(path, busy_timeout_s=0) as database:
        yield database


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM cursors ORDER BY name")]


async def open_error(path: Path, **options: bool) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await SqliteDatabase(path, **options).__aenter__()
    return str(caught.value)


async def test_directory_and_files_are_accessible_only_to_their_owner(
    path: Path, database: SqliteDatabase
) -> None:
    await database.execute(INSERT_CURSOR, [("a",)])

    assert path.parent.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ("ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"), 0o600
    )


async def test_each_connection_has_durable_and_strict_pragmas(database: SqliteDatabase) -> None:
    """`synchronous` 2 is FULL; also on the new connection after an error."""

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await database.write(pragmas) == ["wal", 2, 1]
    with pytest.raises(StoreUnavailableError, match="no such table"):
        await database.execute("DELETE FROM unheard_of")
    assert await database.write(pragmas) == ["wal", 2, 1]


@pytest.mark.parametrize("name", ["ledger.db", "other name.db"])
async def test_a_file_is_opened_by_one_process_only(
    path: Path, database: SqliteDatabase, name: str
) -> None:
    """Also through a symbolic link; free again after closing."""
    other = path.with_name(name)
    if other != path:
        other.symlink_to(path)

    assert "ledger.db is in use by process" in await open_error(other)

    await database.__aexit__(None, None, None)
    async with SqliteDatabase(other):
        pass


async def test_a_file_in_use_is_opened_by_a_later_call(
    path: Path, database: SqliteDatabase
) -> None:
    """For an instance whose market data needs no store; each call says why there is none."""
    async with SqliteDatabase(path, allow_unavailable=True) as second:
        with pytest.raises(StoreUnavailableError, match="in use by process"):
            await second.read(names)
        with pytest.raises(StoreUnavailableError, match="in use by process"):
            await second.execute(INSERT_CURSOR, [("a",)])

        await database.__aexit__(None, None, None)

        await second.execute(INSERT_CURSOR, [("a",)])
        assert await second.read(names) == ["a"]


async def test_an_unusable_file_found_after_the_start_is_an_unavailable_store(path: Path) -> None:
    """A service that runs without its store goes on."""
    async with SqliteDatabase(path) as first:
        second = await SqliteDatabase(path, allow_unavailable=True).__aenter__()
        await first.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(StoreUnavailableError, match="newer chimera-s1"):
        await second.read(names)
    await second.__aexit__(None, None, None)


async def test_a_file_may_be_read_beside_its_writer(path: Path, database: SqliteDatabase) -> None:
    """Each read sees the writes so far; the reader cannot write."""
    async with SqliteDatabase(path, read_only=True) as reader:
        await database.execute(INSERT_CURSOR, [("a",)])
        assert await reader.read(names) == ["a"]
        await database.execute(INSERT_CURSOR, [("b",)])
        assert await reader.read(names) == ["a", "b"]
        with pytest.raises(StoreUnavailableError, match="readonly"):
            await reader.read(lambda connection: connection.execute("DELETE FROM cursors"))

    assert await database.read(names) == ["a", "b"]


async def test_read_only_needs_an_existing_file(path: Path) -> None:
    """It creates nothing."""
    assert "does not exist" in await open_error(path, read_only=True)
    assert not path.parent.exists()


async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    async with SqliteDatabase(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    for read_only in (False, True):
        error = await open_error(path, read_only=read_only)
        versions = f"its tables are version {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION}"
        assert f"newer chimera-s1 ({versions})" in error


async def test_a_file_of_another_program_is_refused_and_unchanged(path: Path) -> None:
    await anyio.Path(path.parent).mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (address)")
    before = await anyio.Path(path).read_bytes()

    assert "belongs to another program" in await open_error(path)

    assert await anyio.Path(path).read_bytes() == before


async def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    """The error names the setting to change."""
    (tmp_path / "file").touch()

    error = await open_error(tmp_path / "file" / "ledger.db")

    assert f"cannot open {tmp_path}/file/ledger.db.lock: " in error
    assert "S1_DB_SQLITE_PATH" in error


async def test_a_file_that_is_not_a_database_is_damaged(path: Path) -> None:
    """The lock is released, so that the file can be repaired and opened."""
    await anyio.Path(path.parent).mkdir()
    await anyio.Path(path).write_bytes(b"PK\x03\x04" * 1_000)

    with pytest.raises(LedgerDamagedError, match="restore a backup"):
        await SqliteDatabase(path).__aenter__()

    await anyio.Path(path).unlink()
    async with SqliteDatabase(path):
        pass


async def test_a_damaged_page_is_found_at_start(path: Path) -> None:
    async with SqliteDatabase(path) as database:
        await database.execute(INSERT_CURSOR, [(f"{number:0100d}",) for number in range(500)])
    page_bytes = 4096
    content = bytearray(await anyio.Path(path).read_bytes())
    content[-page_bytes : -page_bytes + 200] = b"\xff" * 200
    await anyio.Path(path).write_bytes(content)

    with pytest.raises(LedgerDamagedError, match=r"ledger\.db.*restore a backup"):
        await SqliteDatabase(path).__aenter__()


async def test_the_working_directory_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection opened later uses the same file."""
    monkeypatch.chdir(tmp_path)
    async with SqliteDatabase(Path("ledger.db")) as database:
        await database.execute(INSERT_CURSOR, [("a",)])
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

        assert await database.read(names) == ["a"]

    assert not list((tmp_path / "elsewhere").iterdir())


async def test_a_write_fails_while_another_program_writes(
    path: Path, database: SqliteDatabase
) -> None:
    """Reads work meanwhile; writes work again afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked by another program"):
            await database.execute(INSERT_CURSOR, [("a",)])
        assert await database.read(names) == []
        other.execute("ROLLBACK")

    await database.execute(INSERT_CURSOR, [("a",)])
    assert await database.read(names) == ["a"]


async def test_a_full_database_raises_store_unavailable(database: SqliteDatabase) -> None:
    """The transaction is rolled back; the next write opens a new connection."""
    rows = [(f"{number:0100d}",) for number in range(500)]

    def overflow(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.executemany(INSERT_CURSOR, rows)

    with pytest.raises(StoreUnavailableError, match=r"SQLITE_FULL.*free disk space"):
        await database.write(overflow)

    assert await database.read(names) == []
    await database.execute(INSERT_CURSOR, rows)
    assert len(await database.read(names)) == 500


async def test_a_moved_or_replaced_file_is_not_written(
    path: Path, database: SqliteDatabase
) -> None:
    """Otherwise acknowledged commits would be lost. Writes work again when the file is restored."""
    await database.execute(INSERT_CURSOR, [("a",)])
    moved = await anyio.Path(path).rename(path.with_name("aside.db"))

    with pytest.raises(StoreUnavailableError, match="No such file"):
        await database.execute(INSERT_CURSOR, [("b",)])
    await anyio.Path(path).touch()
    with pytest.raises(StoreUnavailableError, match="was replaced by another file while in use"):
        await database.execute(INSERT_CURSOR, [("c",)])

    await moved.rename(path)
    await database.execute(INSERT_CURSOR, [("d",)])
    assert await database.read(names) == ["a", "d"]


async def test_a_failing_transaction_is_rolled_back(database: SqliteDatabase) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT_CURSOR, ("a",))
        raise LedgerDamagedError("found while writing")

    with pytest.raises(LedgerDamagedError, match="found while writing"):
        await database.write(fail)

    assert await database.read(names) == []


class HeldWrite:
    """A write that waits in its thread after its first change."""

    def __init__(self) -> None:
        self.started = anyio.Event()
        self.released = Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        connection.execute(INSERT_CURSOR, ("held",))
        from_thread.run_sync(self.started.set)
        assert self.released.wait(THREAD_S)


async def test_a_read_never_waits_for_a_write(database: SqliteDatabase) -> None:
    """It sees nothing of an uncommitted write."""
    held = HeldWrite()
    async with anyio.create_task_group() as group:
        group.start_soon(database.write, held)
        await held.started.wait()
        with anyio.fail_after(TIMEOUT_S):
            assert await database.read(names) == []
        held.released.set()

    assert await database.read(names) == ["held"]


async def test_a_cancelled_writer_waits_for_its_write(database: SqliteDatabase) -> None:
    """A write that has not started never starts."""
    held = HeldWrite()
    finished: list[str] = []

    async def write(name: str) -> None:
        try:
            await (
                database.write(held)
                if name == "first"
                else database.execute(INSERT_CURSOR, [(name,)])
            )
        finally:
            finished.append(name)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(write, "first")
            await held.started.wait()
            group.start_soon(write, "second")
            await settle()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await settle()
                assert finished == ["second"]
                held.released.set()

    assert finished == ["second", "first"]
    assert await database.read(names) == ["held"]


async def test_closing_waits_for_the_running_write(path: Path) -> None:
    """The lock is released after the last write."""
    held = HeldWrite()
    async with anyio.create_task_group() as group:
        async with SqliteDatabase(path) as database:
            group.start_soon(database.write, held)
            await held.started.wait()
            held.released.set()
        async with SqliteDatabase(path) as database:
            assert await database.read(names) == ["held"]


@pytest.mark.parametrize("left", ["-wal", "-shm"])
@pytest.mark.parametrize("emptied", [False, True])
async def test_a_missing_file_beside_its_wal_is_refused(
    path: Path, left: str, *, emptied: bool
) -> None:
    """A new ledger would send finished transfers again. What is left is not changed."""
    await anyio.Path(path.parent).mkdir()
    part = anyio.Path(f"{path}{left}")
    await part.write_bytes(b"commits")
    if emptied:
        await anyio.Path(path).touch()

    error = await open_error(path)

    assert f"ledger.db is missing or empty beside a left-over ledger.db{left}:" in error
    assert "put the file back or restore a backup" in error
    assert await part.read_bytes() == b"commits"
    await part.unlink()
    async with SqliteDatabase(path):
        pass


async def test_a_file_of_an_earlier_version_gets_an_identity(path: Path) -> None:
    """Files of version 1 may lack the table; a reader finds nothing in them."""
    async with SqliteDatabase(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE installation; PRAGMA user_version = 1")
    async with SqliteDatabase(path, read_only=True) as earlier:
        assert await SqliteInstallationStore(earlier).find(InstallationFact.ID) == ""

    async with SqliteDatabase(path) as upgraded:
        store = SqliteInstallationStore(upgraded)
        assert await store.record(InstallationFact.ID, "a") == "a"
        for statement in ("UPDATE installation SET value = 'b'", "DELETE FROM installation"):
            with pytest.raises(StoreUnavailableError, match="a fact is recorded once"):
                await upgraded.execute(statement)


async def test_a_check_notices_that_writes_fail_while_reads_work(
    path: Path, database: SqliteDatabase
) -> None:
    """As on a full disk; here another program holds the lock. It ends without any other write."""
    await database.check()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await database.check()
        with pytest.raises(StoreUnavailableError, match="locked"):
            await database.execute(INSERT_CURSOR, [("a",)])

        assert await database.read(names) == []
        with pytest.raises(StoreUnavailableError, match="locked by another program"):
            await database.check()
        other.execute("ROLLBACK")

    await database.check()
