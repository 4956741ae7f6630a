"""A ledger in SQLite, and real processes that are killed, frozen, shut out or out of space."""

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

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from tests.contract.ledger_commits import LEDGER, append_commits, verify_links

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
        """What it has printed and nobody has read, until it ends."""
        found: list[str] = []
        try:
            while True:
                found.append(await self.line())
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return found


@asynccontextmanager
async def ledger_writer(mode: str, path: Path) -> AsyncIterator[Writer]:
    command = [sys.executable, "-m", "tests.contract.ledger_writer", mode, str(path)]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
            try:
                yield Writer(process)
            finally:
                if process.returncode is None:
                    process.kill()


async def places(path: Path) -> int:
    """How many commits a file has; every page and every link of the chain is in order."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    async with SqliteDatabase(path) as database:
        head, problem = await verify_links(SqliteEventStore(database, LEDGER), limit=1_000)
        assert problem == ""
        return head.seq


async def test_row_49_a_killed_process_leaves_every_acknowledged_commit(tmp_path: Path) -> None:
    """`kill -9` somewhere in the middle, again and again on one file."""
    path = tmp_path / "ledger.db"
    acknowledged = 0
    for _ in range(ROUNDS):
        async with ledger_writer("append", path) as writer:
            begun = int((await writer.line()).removeprefix("ready "))
            assert begun >= acknowledged
            for _ in range(_draw.randint(1, 150)):
                acknowledged = int(await writer.line())
            writer.process.kill()
            acknowledged = int([str(acknowledged), *await writer.lines()][-1])
            assert await writer.process.wait() == -signal.SIGKILL

        # The one commit that was on its way may be there too.
        assert acknowledged <= await places(path) <= acknowledged + 1


async def test_row_49_a_copy_of_any_instant_holds_what_was_acknowledged_before(
    tmp_path: Path,
) -> None:
    """As after a power cut: the process stands still anywhere in its work while database and WAL
    are copied, without what is in shared memory.
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

            assert await places(copy) >= acknowledged


async def test_row_50_a_second_process_is_refused(tmp_path: Path) -> None:
    """It is told which file, who has it and what to do; the first one goes on."""
    path = tmp_path / "ledger.db"
    async with ledger_writer("append", path) as first:
        await first.line()

        async with ledger_writer("open", path) as second:
            said = await second.line()

        assert said == (
            f"configuration {path} is in use by process {first.process.pid} (it holds "
            f"{path}.lock): end that one, or set S1_DB_SQLITE_PATH to another file; several "
            "instances share an ArangoDB"
        )
        assert int(await first.line()) > 0


async def test_row_48_a_full_disk_is_an_error_until_there_is_space(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, reading goes on, and so does the same process with writing."""
    path = tmp_path / "ledger.db"
    async with ledger_writer("fill", path) as writer:
        *failures, read, again, end = await writer.lines()

    assert len(failures) == 3
    for failure in failures:
        assert failure.startswith(f"failed {path}: ")
        assert failure.endswith("for space and for errors; writing goes on by itself then")
    written = int(read.split()[1])
    assert written > 0
    assert read == f"read {written} True"
    assert again == "again True"
    assert end == f"end {written + 1}"
    assert await places(path) == written + 1


async def test_row_48_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    """A process that starts is told; nothing is lost, and it starts when the file may
    be written.
    """
    path = tmp_path / "ledger.db"
    async with SqliteDatabase(path) as database:
        await append_commits(SqliteEventStore(database, LEDGER), 1)
    path.chmod(0o400)

    async with ledger_writer("open", path) as writer:
        said = await writer.line()

    assert said == (
        f"configuration cannot write {path}: Permission denied; let this process's user write it, "
        "or set S1_DB_SQLITE_PATH to another file"
    )
    path.chmod(0o600)
    async with ledger_writer("open", path) as writer:
        assert await writer.line() == "opened"
    assert await places(path) == 1
