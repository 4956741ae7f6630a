"""A file of an earlier version gets the tables it lacks, and keeps what it has.

`futures_wallet.sql` was dumped from the SQLite file of a service of schema version 1.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chimera_s1.adapters.sqlite import schema
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.migrations import MIGRATIONS
from chimera_s1.domain.errors import StoreUnavailableError

DUMP = Path(__file__).parents[3] / "contract" / "ledgers" / "futures_wallet.sql"
VERSION_1 = DUMP.read_text(encoding="utf-8")
PRAGMA_VERSION = "PRAGMA user_version"
FORBID_VERSION_2 = "CREATE VIEW installation AS SELECT 1"
"""Makes the second step fail: it wants a table of this name."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of schema version 1 with a ledger in it."""
    path = tmp_path / "s1.sqlite3"
    execute(path, VERSION_1)
    return path


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(PRAGMA_VERSION).fetchone()[0])


def definitions(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}


def commits(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM treasury_commits ORDER BY seq").fetchall()


async def opened_once(path: Path) -> None:
    async with SqliteDatabase(path):
        pass


async def test_an_upgraded_file_has_the_tables_of_a_new_one_and_its_ledger(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new = tmp_path / "new.sqlite3"
    await opened_once(new)
    before = commits(path)
    assert (version(path), len(before)) == (1, 13)

    with caplog.at_level(logging.INFO):
        await opened_once(path)

    assert (version(path), commits(path)) == (len(MIGRATIONS), before)
    assert definitions(path) == definitions(new)
    assert f"upgraded its tables from version 1 to {len(MIGRATIONS)}" in caplog.text


async def test_a_file_that_is_set_back_is_upgraded_again(path: Path) -> None:
    """So an operator returns from an older version, which knows version 1 only."""
    await opened_once(path)
    before = definitions(path)

    execute(path, f"{PRAGMA_VERSION} = 1")
    await opened_once(path)

    assert (version(path), definitions(path)) == (len(MIGRATIONS), before)


async def test_a_step_that_fails_leaves_the_version_before_it(path: Path) -> None:
    execute(path, FORBID_VERSION_2)
    before = commits(path), definitions(path)

    with pytest.raises(StoreUnavailableError):
        await opened_once(path)

    assert version(path) == 1
    assert (commits(path), definitions(path)) == before
    execute(path, "DROP VIEW installation")
    await opened_once(path)
    assert version(path) == len(MIGRATIONS)


async def test_an_older_file_may_be_read_beside_its_service(path: Path) -> None:
    """It is not upgraded: the older service that writes it would refuse it at its next start."""
    async with SqliteDatabase(path, read_only=True) as database:
        count = "SELECT count(*) FROM treasury_commits"
        row = await database.read(lambda connection: connection.execute(count).fetchone())
        assert row == (13,)
        with pytest.raises(StoreUnavailableError, match="serve of this version adds the table"):
            await database.read(lambda connection: connection.execute("SELECT * FROM added_later"))

    assert version(path) == 1


def test_the_version_of_a_file_is_its_number_of_steps() -> None:
    assert len(MIGRATIONS) == schema.SCHEMA_VERSION
