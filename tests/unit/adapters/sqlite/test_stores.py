"""Behaviour of the stores in SQLite beyond their ports."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.instrument_registry import SqliteInstrumentRegistry
from chimera_s1.adapters.sqlite.job_runs import SqliteJobRuns
from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.adapters.sqlite.unavailable_when_damaged import UnavailableWhenDamaged
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import CommitDraft, LedgerHead, NewEvent, head_of, seal
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.ports.event_store import Appended
from chimera_s1.domain.ports.transfer_projection import TransferRow
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


async def test_ledgers_in_one_file_are_separate(database: SqliteDatabase) -> None:
    """The same commit id, seq and stream in each."""
    for name in ("main", "practice"):
        events = SqliteEventStore(database, name)
        assert await events.head() == LedgerHead()
        commit = seal(DRAFT, name, LedgerHead(), {})

        assert await events.append(commit) == Appended(commit)

        assert await events.head() == head_of(commit)
        assert [entry.commit for entry in await events.read(0, 10)] == [commit]
        assert [entry.commit for entry in await events.read_stream("transfer/a")] == [commit]


async def test_deleted_stream_rows_are_restored_at_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the idempotency key would seem unused and move the money again. A document that is
    not JSON does not prevent the repair of other rows.
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
    assert "1 rows of treasury_commit_streams were missing and have been restored" in caplog.text


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM treasury_commits",
        "UPDATE treasury_commits SET document = '{}'",
        "DELETE FROM treasury_commit_streams",
        "UPDATE treasury_commit_streams SET stream = 'x'",
    ],
)
async def test_commits_cannot_be_changed_or_deleted(
    database: SqliteDatabase, statement: str
) -> None:
    """Triggers refuse it, also at the sqlite3 prompt."""
    events = SqliteEventStore(database, "main")
    commit = seal(DRAFT, "main", LedgerHead(), {})
    await events.append(commit)

    with pytest.raises(StoreUnavailableError, match="a ledger only grows"):
        await database.execute(statement)

    assert await events.head() == head_of(commit)


async def test_read_stream_names_a_deleted_commit(path: Path, database: SqliteDatabase) -> None:
    events = SqliteEventStore(database, "main")
    await events.append(seal(DRAFT, "main", LedgerHead(), {}))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER treasury_commits_never_go")
        connection.execute("DELETE FROM treasury_commits")

    with pytest.raises(LedgerDamagedError, match="main-0000000000000001"):
        await events.read_stream("transfer/a")


async def test_leases_end_with_their_process(path: Path) -> None:
    async with SqliteDatabase(path) as database:
        assert await SqliteLeaseStore(database, ManualClock()).acquire("executor", "a", 60_000)

    async with SqliteDatabase(path) as database:
        assert await SqliteLeaseStore(database, ManualClock()).acquire("executor", "b", 60_000)


async def test_in_a_damaged_file_only_a_ledger_is_damaged(
    path: Path, database: SqliteDatabase
) -> None:
    """For the other stores it is unavailable, which ends no worker that goes on without them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE type = 'table'")
        other.execute("PRAGMA schema_version = 99")
    lenient = UnavailableWhenDamaged(database)

    with pytest.raises(LedgerDamagedError):
        await SqliteEventStore(database, "treasury").read(0, 1)
    for call in (
        SqliteJobRuns(lenient).read(["sync"]),
        SqliteLeaseStore(lenient, ManualClock()).acquire("jobs", "a", 1_000),
        SqliteCursorStore(lenient).read("ops"),
        SqliteInstrumentRegistry(lenient).rows(),
    ):
        with pytest.raises(StoreUnavailableError, match="restore a backup"):
            await call


async def test_the_state_of_a_job_that_cannot_be_read_is_replaced_by_the_next_run(
    database: SqliteDatabase,
) -> None:
    """As one that a newer version of S1 has written."""
    runs = SqliteJobRuns(database)
    state = JobState(name="sync", version=7, next_at=1)
    assert await runs.write(state)
    await database.execute("UPDATE job_runs SET state = replace(state, 'null', '\"paused\"')")

    found = (await runs.read(["sync"]))["sync"].state

    assert found == JobState(name="sync", version=7, sentence="the stored state cannot be read")
    begun = found.begin("a", 1)
    assert await runs.write(begun)
    assert (await runs.read(["sync"]))["sync"].state == begun


async def test_a_damaged_row_is_named_and_can_be_rebuilt(
    database: SqliteDatabase, path: Path
) -> None:
    """A value that no row of ours has, written outside the service."""
    names = ", ".join(f'"{each.encode_name}"' for each in structs.fields(TransferRow))
    values = ", ".join("'t7'" if each.type is str else "7" for each in structs.fields(TransferRow))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"INSERT INTO treasury_transfers ({names}) VALUES ({values})")
    rows = SqliteTransferProjection(database)

    named = pytest.raises(StoreUnavailableError, match=r"transfer t7 .* damaged .* ledger rebuild")
    with named:
        await rows.newest(10)
    with named:
        await rows.get("t7")
