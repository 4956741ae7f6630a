"""The funding store in a SQLite file that is damaged, or older."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.funding_store import CHANGES_PER_TRANSACTION, SqliteFundingStore
from chimera_s1.domain.errors import StoreUnavailableError
from tests.contract.funding_records import START, bare_record, change, full_record, key_of

EVER = (0, 10 * START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s1.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteFundingStore]:
    async with SqliteDatabase(path) as database:
        yield SqliteFundingStore(database)


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    "damage", ["rate_text = '1e5'", "parts = '{'", "parts = '[1]'", "amount_usdt_text = ''"]
)
async def test_a_damaged_row_is_named_with_its_cure(
    path: Path, store: SqliteFundingStore, damage: str
) -> None:
    await store.write([change(full_record("A"))])
    execute(path, f"UPDATE funding_records SET {damage}")

    for read in (store.between(*EVER), store.find([key_of("A")])):
        with pytest.raises(StoreUnavailableError, match=r"row of A .*chimera-s1 funding backfill"):
            await read


async def test_a_damaged_amount_is_in_no_sum(path: Path, store: SqliteFundingStore) -> None:
    await store.write([change(full_record("A"))])
    execute(path, "UPDATE funding_records SET amount_usdt_text = 'much'")

    with pytest.raises(StoreUnavailableError, match=r"row of A .*chimera-s1 funding backfill"):
        await store.daily_sums(*EVER)


@pytest.mark.parametrize("document", ["{", "{}"])
async def test_a_damaged_announcement_is_named(
    path: Path, store: SqliteFundingStore, document: str
) -> None:
    await store.write([change(full_record("A"), announce=True)])
    execute(path, f"UPDATE funding_announcements SET document = '{document}'")

    with pytest.raises(StoreUnavailableError, match="funding_announcements is damaged"):
        await store.announced()


async def test_a_file_of_an_older_service_may_be_read(path: Path) -> None:
    """It lacks the tables; a read says so, and what adds them."""
    async with SqliteDatabase(path):
        pass
    execute(path, "DROP TABLE funding_records", "PRAGMA user_version = 5")
    async with SqliteDatabase(path, read_only=True) as database:
        with pytest.raises(StoreUnavailableError, match="serve of this version adds the table"):
            await SqliteFundingStore(database).between(*EVER)


async def test_a_failure_during_an_import_leaves_whole_transactions(
    path: Path, store: SqliteFundingStore
) -> None:
    """A repeated call writes the rest, and announces each version once."""
    many = [
        change(bare_record(f"S{n:04d}"), announce=True) for n in range(CHANGES_PER_TRANSACTION + 2)
    ]
    execute(
        path,
        "CREATE TRIGGER fail BEFORE INSERT ON funding_records "
        f"WHEN NEW.symbol = '{many[-1].record.key.symbol}' "
        "BEGIN SELECT RAISE(ROLLBACK, 'failed by this test'); END",
    )
    await store.write(many[:1])
    with pytest.raises(StoreUnavailableError):
        await store.write(many)
    stored = await store.between(*EVER)
    assert stored == tuple(each.record for each in many[:CHANGES_PER_TRANSACTION])
    execute(path, "DROP TRIGGER fail")

    result = await store.write(many)

    assert result.written == tuple(many[CHANGES_PER_TRANSACTION:])
    found = await store.announced(limit=2 * len(many))
    assert [each.record for each in found] == [each.record for each in many]
