"""What the stores in SQLite do beyond their ports."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import CommitDraft, LedgerHead, NewEvent, head_of, seal
from chimera_s1.domain.ports.event_store import Appended
from tests.fakes.manual_clock import ManualClock

DRAFT = CommitDraft(
    commit_id="command-1",
    at=1,
    actor="s1/test",
    correlation_id="c",
    events=(NewEvent("transfer/a", "test.noted", 1, {}),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(path) as database:
        yield database


async def test_a_file_holds_ledgers_apart(database: SqliteDatabase) -> None:
    """The same commit id, place and stream in each."""
    for name in ("main", "practice"):
        events = SqliteEventStore(database, name)
        assert await events.head() == LedgerHead()
        commit = seal(DRAFT, name, LedgerHead(), {})

        assert await events.append(commit) == Appended(commit)

        assert await events.head() == head_of(commit)
        assert [entry.commit for entry in await events.read(0, 10)] == [commit]
        assert [entry.commit for entry in await events.read_stream("transfer/a")] == [commit]


async def test_a_stream_that_was_taken_out_of_the_table_is_there_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else its key would look as if it were new, and money would move again. A document that is not
    even JSON any more does not keep the rest from being mended.
    """
    async with SqliteDatabase(path) as database:
        events = SqliteEventStore(database, "main")
        first = seal(DRAFT, "main", LedgerHead(), {})
        await events.append(first)
        second = seal(structs.replace(DRAFT, commit_id="b"), "main", head_of(first), {})
        await events.append(second)
    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.execute("DROP TRIGGER treasury_commit_streams_never_go")
        by_hand.execute("DROP TRIGGER treasury_commits_never_change")
        by_hand.execute("DELETE FROM treasury_commit_streams")
        by_hand.execute("UPDATE treasury_commits SET document = 'no' WHERE seq = 2")
        by_hand.commit()

    async with SqliteDatabase(path) as database:
        [entry] = await SqliteEventStore(database, "main").read_stream("transfer/a")

    assert entry.commit == first
    assert "1 rows of treasury_commit_streams were missing" in caplog.text


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM treasury_commits",
        "UPDATE treasury_commits SET document = '{}'",
        "DELETE FROM treasury_commit_streams",
        "UPDATE treasury_commit_streams SET stream = 'x'",
    ],
)
async def test_a_ledger_only_grows(database: SqliteDatabase, statement: str) -> None:
    """Also at a prompt, where somebody does not think of the chain."""
    events = SqliteEventStore(database, "main")
    commit = seal(DRAFT, "main", LedgerHead(), {})
    await events.append(commit)

    with pytest.raises(StoreUnavailableError, match="a ledger only grows"):
        await database.execute(statement)

    assert await events.head() == head_of(commit)


async def test_a_stream_names_a_commit_that_was_removed(
    path: Path, database: SqliteDatabase
) -> None:
    """Its index remembers."""
    events = SqliteEventStore(database, "main")
    await events.append(seal(DRAFT, "main", LedgerHead(), {}))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER treasury_commits_never_go")
        connection.execute("DELETE FROM treasury_commits")

    with pytest.raises(LedgerDamagedError, match="main-0000000000000001"):
        await events.read_stream("transfer/a")


async def test_leases_end_with_their_process(path: Path) -> None:
    """Whoever has the file now is the only one."""
    async with SqliteDatabase(path) as database:
        assert await SqliteLeaseStore(database, ManualClock()).acquire("executor", "a", 60_000)

    async with SqliteDatabase(path) as database:
        assert await SqliteLeaseStore(database, ManualClock()).acquire("executor", "b", 60_000)
