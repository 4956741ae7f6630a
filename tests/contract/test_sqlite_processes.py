"""A ledger in SQLite, written by processes that are killed, stopped, refused or out of space."""

import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from os import P_PID, WNOWAIT, WSTOPPED, waitid
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from tests.contract.ledger_commits import LEDGER, append_commits, verify_links
from tests.time_limits import TIMEOUT_S

ROOT = Path(__file__).parents[2]
ROUNDS = 5
_draw = random.Random(20_260_302)


class Writer:
    """A running `ledger_writer`."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = BufferedByteReceiveStream(process.stdout)

    async def line(self) -> str:
        return (await self._output.receive_until(b"\n", 10_000)).decode()

    async def lines(self) -> list[str]:
        """The remaining lines, until the process ends."""
        found: list[str] = []
        try:
            while True:
                found.append(await self.line())
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return found


@asynccontextmanager
async def ledger_writer(mode: str, path: Path) -> AsyncIterator[Writer]:
    command = [sys.executable, "-m", "tests.contract.ledger_writer", mode, str(path)]
    with anyio.fail_after(TIMEOUT_S):
        async with await anyio.open_process(
            ending_with_parent(command), cwd=ROOT, stderr=None
        ) as process:
            try:
                yield Writer(process)
            finally:
                if process.returncode is None:
                    process.kill()


async def verified_seq(path: Path) -> int:
    """The seq of the last commit, after a check of every page and of the whole chain."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    async with SqliteDatabase(path) as database:
        head, problem = await verify_links(SqliteEventStore(database, LEDGER), limit=1_000)
        assert problem == ""
        return head.seq


async def test_row_49_a_killed_process_leaves_every_acknowledged_commit(tmp_path: Path) -> None:
    """`kill -9` at random moments, several times on one file."""
    path = tmp_path / "ledger.db"
    acknowledged = 0
    for _ in range(ROUNDS):
        async with ledger_writer("append", path) as writer:
            first_seq = int((await writer.line()).removeprefix("ready "))
            assert first_seq >= acknowledged
            for _ in range(_draw.randint(1, 150)):
                acknowledged = int(await writer.line())
            writer.process.kill()
            acknowledged = int([str(acknowledged), *await writer.lines()][-1])
            assert await writer.process.wait() == -signal.SIGKILL

        # The commit in flight may be written too.
        assert acknowledged <= await verified_seq(path) <= acknowledged + 1


async def test_row_49_a_copy_at_any_moment_has_every_acknowledged_commit(
    tmp_path: Path,
) -> None:
    """Like a power failure: the process is stopped at a random moment while the database and the
    WAL are copied, without shared memory.
    """
    path = tmp_path / "ledger.db"
    async with ledger_writer("append", path) as writer:
        await writer.line()
        for number in range(ROUNDS):
            for _ in range(_draw.randint(50, 150)):
                acknowledged = int(await writer.line())
            writer.process.send_signal(signal.SIGSTOP)
            stopped = waitid(P_PID, writer.process.pid, WSTOPPED | WNOWAIT)  # noqa: ASYNC222 (at once)
            assert stopped is not None
            copy = tmp_path / f"copy-{number}" / "ledger.db"
            copy.parent.mkdir()
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
            writer.process.send_signal(signal.SIGCONT)

            assert await verified_seq(copy) >= acknowledged


async def test_row_50_a_second_process_is_refused(tmp_path: Path) -> None:
    """The error names the file, the process and what to do; the first process continues."""
    path = tmp_path / "ledger.db"
    async with ledger_writer("append", path) as first:
        await first.line()

        async with ledger_writer("open", path) as second:
            error = await second.line()

        assert error == (
            f"configuration {path} is in use by process {first.process.pid} (lock {path}.lock); "
            "stop that process, set S1_DB_SQLITE_PATH to another file, or use ArangoDB for several "
            "instances"
        )
        assert int(await first.line()) > 0


async def test_row_48_writing_fails_on_a_full_disk_and_resumes_with_space(tmp_path: Path) -> None:
    """No acknowledged commit is lost, reads work, and the same process writes again."""
    path = tmp_path / "ledger.db"
    async with ledger_writer("fill", path) as writer:
        *failures, read, again, end = await writer.lines()

    assert len(failures) == 3
    for failure in failures:
        assert failure.startswith(f"failed {path}: ")
        assert failure.endswith("the disk for free space and errors; writing resumes by itself")
    written = int(read.split()[1])
    assert written > 0
    assert read == f"read {written} True"
    assert again == "again True"
    assert end == f"end {written + 1}"
    assert await verified_seq(path) == written + 1


async def test_row_48_an_unwritable_file_is_named_at_start(tmp_path: Path) -> None:
    """Nothing is lost; the process starts once the file is writable."""
    path = tmp_path / "ledger.db"
    async with SqliteDatabase(path) as database:
        await append_commits(SqliteEventStore(database, LEDGER), 1)
    path.chmod(0o400)

    async with ledger_writer("open", path) as writer:
        error = await writer.line()

    assert error == (
        f"configuration cannot write {path}: Permission denied; make it writable for this "
        "process's user, or set S1_DB_SQLITE_PATH to another file"
    )
    path.chmod(0o600)
    async with ledger_writer("open", path) as writer:
        assert await writer.line() == "opened"
    assert await verified_seq(path) == 1
