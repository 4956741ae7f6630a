"""The SQLite file: how it is opened, who may use it, and what becomes of failures."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from threading import Event

import anyio
import pytest
from anyio import from_thread

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.domain.errors import ConfigurationError, LedgerDamagedError, StoreUnavailableError

NOTE = "INSERT INTO cursors VALUES (?, 1)"
THREAD_S = 20
"""How long a thread waits for its test at most."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(path, busy_timeout_s=0) as database:
        yield database


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM cursors ORDER BY name")]


async def refusal(path: Path, **options: bool) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await SqliteDatabase(path, **options).__aenter__()
    return str(caught.value)


async def test_directory_and_files_are_their_owners_alone(
    path: Path, database: SqliteDatabase
) -> None:
    """Who moved how much is nobody else's business."""
    await database.execute(NOTE, [("a",)])

    assert path.parent.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ("ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"), 0o600
    )


async def test_each_connection_is_durable_and_strict(database: SqliteDatabase) -> None:
    """FULL is 2; a new connection after a failure has the same."""

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]

    assert await database.write(pragmas) == ["wal", 2, 1]
    with pytest.raises(StoreUnavailableError, match="no such table"):
        await database.execute("DELETE FROM unheard_of")
    assert await database.write(pragmas) == ["wal", 2, 1]


@pytest.mark.parametrize("name", ["ledger.db", "other name.db"])
async def test_a_file_is_open_once(path: Path, database: SqliteDatabase, name: str) -> None:
    """By whatever name; and when it is closed, it is free."""
    other = path.with_name(name)
    if other != path:
        other.symlink_to(path)

    assert "ledger.db is in use by process" in await refusal(other)

    await database.__aexit__(None, None, None)
    async with SqliteDatabase(other):
        pass


async def test_a_file_may_be_read_beside_its_writer(path: Path, database: SqliteDatabase) -> None:
    """Each read sees what has been written by then, and nothing can be written."""
    async with SqliteDatabase(path, read_only=True) as looking:
        await database.execute(NOTE, [("a",)])
        assert await looking.read(names) == ["a"]
        await database.execute(NOTE, [("b",)])
        assert await looking.read(names) == ["a", "b"]
        with pytest.raises(StoreUnavailableError, match="readonly"):
            await looking.read(lambda connection: connection.execute("DELETE FROM cursors"))

    assert await database.read(names) == ["a", "b"]


async def test_there_must_be_something_to_read(path: Path) -> None:
    """Looking makes nothing."""
    assert "is not there" in await refusal(path, read_only=True)
    assert not path.parent.exists()


async def test_a_newer_file_is_left_to_the_newer_version(path: Path) -> None:
    """The text says which is which."""
    async with SqliteDatabase(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")

    for read_only in (False, True):
        said = await refusal(path, read_only=read_only)
        assert "newer chimera-s1 (its tables are version 2, this one knows 1)" in said


async def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    """Not a byte of it changes."""
    await anyio.Path(path.parent).mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (address)")
    before = await anyio.Path(path).read_bytes()

    assert "database of some other program" in await refusal(path)

    assert await anyio.Path(path).read_bytes() == before


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the setting to change."""
    (tmp_path / "file").touch()

    said = await refusal(tmp_path / "file" / "ledger.db")

    assert f"cannot open {tmp_path}/file/ledger.db.lock: " in said
    assert "S1_DB_SQLITE_PATH" in said


async def test_what_is_no_database_is_damaged(path: Path) -> None:
    """The lock is free afterwards: the file can be put right, and opened."""
    await anyio.Path(path.parent).mkdir()
    await anyio.Path(path).write_bytes(b"PK\x03\x04" * 1_000)

    with pytest.raises(LedgerDamagedError, match="restore a backup"):
        await SqliteDatabase(path).__aenter__()

    await anyio.Path(path).unlink()
    async with SqliteDatabase(path):
        pass


async def test_a_damaged_page_is_found_at_the_start(path: Path) -> None:
    """Before anything is decided from it."""
    async with SqliteDatabase(path) as database:
        await database.execute(NOTE, [(f"{number:0100d}",) for number in range(500)])
    page_bytes = 4096
    content = bytearray(await anyio.Path(path).read_bytes())
    content[-page_bytes : -page_bytes + 200] = b"\xff" * 200
    await anyio.Path(path).write_bytes(content)

    with pytest.raises(LedgerDamagedError, match=r"ledger\.db.*restore a backup"):
        await SqliteDatabase(path).__aenter__()


async def test_the_working_directory_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is opened later opens the same file."""
    monkeypatch.chdir(tmp_path)
    async with SqliteDatabase(Path("ledger.db")) as database:
        await database.execute(NOTE, [("a",)])
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

        assert await database.read(names) == ["a"]

    assert not list((tmp_path / "elsewhere").iterdir())


async def test_a_write_fails_while_another_program_writes(
    path: Path, database: SqliteDatabase
) -> None:
    """Reading goes on; writing does when the other is done."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="another program is writing it"):
            await database.execute(NOTE, [("a",)])
        assert await database.read(names) == []
        other.execute("ROLLBACK")

    await database.execute(NOTE, [("a",)])
    assert await database.read(names) == ["a"]


async def test_a_full_database_says_so(database: SqliteDatabase) -> None:
    """What was begun is undone, and the next write has a connection of its own."""
    rows = [(f"{number:0100d}",) for number in range(500)]

    def overflow(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.executemany(NOTE, rows)

    with pytest.raises(StoreUnavailableError, match=r"SQLITE_FULL.*free space on its disk"):
        await database.write(overflow)

    assert await database.read(names) == []
    await database.execute(NOTE, rows)
    assert len(await database.read(names)) == 500


async def test_a_file_that_was_moved_is_not_written(path: Path, database: SqliteDatabase) -> None:
    """Otherwise commits would be acknowledged that nobody finds again. Put back, it goes on."""
    await database.execute(NOTE, [("a",)])
    aside = await anyio.Path(path).rename(path.with_name("aside.db"))

    with pytest.raises(StoreUnavailableError, match="No such file"):
        await database.execute(NOTE, [("b",)])
    await anyio.Path(path).touch()
    with pytest.raises(StoreUnavailableError, match="was replaced while in use"):
        await database.execute(NOTE, [("c",)])

    await aside.rename(path)
    await database.execute(NOTE, [("d",)])
    assert await database.read(names) == ["a", "d"]


async def test_what_fails_in_the_middle_is_undone(database: SqliteDatabase) -> None:
    """Whatever the failure."""

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute(NOTE, ("a",))
        raise LedgerDamagedError("found while writing")

    with pytest.raises(LedgerDamagedError, match="found while writing"):
        await database.write(fail)

    assert await database.read(names) == []


class HeldWrite:
    """A write that stands still in its thread, after it has changed something."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.go_on = Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        connection.execute(NOTE, ("held",))
        from_thread.run_sync(self.begun.set)
        assert self.go_on.wait(THREAD_S)


async def test_reading_never_waits_for_writing(database: SqliteDatabase) -> None:
    """And sees nothing of it before it is done."""
    held = HeldWrite()
    async with anyio.create_task_group() as group:
        group.start_soon(database.write, held)
        await held.begun.wait()
        with anyio.fail_after(THREAD_S / 2):
            assert await database.read(names) == []
        held.go_on.set()

    assert await database.read(names) == ["held"]


async def test_a_cancelled_writer_waits_for_its_write(database: SqliteDatabase) -> None:
    """The thread is never left alone with it; one that has not begun is never begun."""
    held = HeldWrite()
    over: list[str] = []

    async def write(name: str) -> None:
        try:
            await (database.write(held) if name == "first" else database.execute(NOTE, [(name,)]))
        finally:
            over.append(name)

    with anyio.fail_after(THREAD_S):
        async with anyio.create_task_group() as group:
            group.start_soon(write, "first")
            await held.begun.wait()
            group.start_soon(write, "second")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                assert over == ["second"]
                held.go_on.set()

    assert over == ["second", "first"]
    assert await database.read(names) == ["held"]


async def test_closing_waits_for_what_is_on_its_way(path: Path) -> None:
    """The lock is let go after the last write."""
    held = HeldWrite()
    async with anyio.create_task_group() as group:
        async with SqliteDatabase(path) as database:
            group.start_soon(database.write, held)
            await held.begun.wait()
            held.go_on.set()
        async with SqliteDatabase(path) as database:
            assert await database.read(names) == ["held"]
