"""Cost of a durable commit: our event store, the SQLite recorder of `eventsourcing`, the bare disk.

All three write to the same disk in turn. A commit holds the two events of a transfer request.
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from msgspec import Struct

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.domain.ledger.commit import Commit
from chimera_s1.domain.ports.event_store import Appended
from tests.load.bench_context import BenchContext
from tests.load.figures import NothingMeasuredError, quantile_of
from tests.load.ledger_generator import requests, stored_events
from tests.load.machine import on_core
from tests.load.report import Row

ROUNDS = 9
APPENDS, APPENDS_QUICK = 500, 200
PAGE_BYTES, PAGES = 4_096, 1_000
_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}

Append = Callable[[Commit], Awaitable[None]]


class Appends(Struct):
    """Durations of the appends of one store, and their CPU time in all."""

    seconds: list[float]
    cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / sum(self.seconds)

    def text(self) -> str:
        p50, p99 = (quantile_of(self.seconds, each) * 1000 for each in (0.5, 0.99))
        cpu_us = self.cpu_s / len(self.seconds) * 1e6
        return f"{self.per_second:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms, CPU {cpu_us:.0f} us"


async def bench_treasury_appends(bench: BenchContext) -> None:
    each = APPENDS_QUICK if bench.quick else APPENDS
    rounds = bench.times(ROUNDS)
    commits = requests(each * rounds)
    with (
        TemporaryDirectory(prefix="chimera-bench-appends-") as name,
        on_core(bench.rig.cores.service[0]),
        closing(SQLiteDatastore(f"{name}/recorder.sqlite3", originator_id_type="text")) as theirs,
        (Path(name) / "plain").open("wb", buffering=0) as plain,
    ):
        async with SqliteDatabase(Path(name) / "s1.sqlite3") as database:
            disk, recorder, ours = Appends([]), Appends([]), Appends([])
            ways = [
                (_plain(plain.fileno()), disk),
                (_recorder(theirs), recorder),
                (_store(database), ours),
            ]
            for turn in range(rounds):
                for append, measured in ways:
                    await _measure(append, commits[turn * each : (turn + 1) * each], measured)
        synchronous = _synchronous(theirs)
    bench.report.table(
        "A commit of two events, durable when acknowledged, one writer",
        [
            Row(f"the disk alone: {PAGE_BYTES} bytes written over, fdatasync", disk.text()),
            Row(f"`eventsourcing`, its defaults: WAL, synchronous={synchronous}", recorder.text()),
            Row("ours: WAL, synchronous=FULL", ours.text()),
            Row("ours against `eventsourcing`, appends/s", _ratio(ours, recorder)),
        ],
        f"{rounds} rounds of {each} each, in turn. Our commit is one document in the hash chain, "
        "indexed by number, id and stream, the first two unique; theirs is two rows with one key. "
        "Ours runs in a thread, so that the event loop is not blocked.",
    )


def _ratio(ours: Appends, theirs: Appends) -> str:
    return f"{ours.per_second / theirs.per_second:.2f} x"


async def _measure(append: Append, commits: Sequence[Commit], measured: Appends) -> None:
    cpu = time.process_time()
    for commit in commits:
        began = time.perf_counter()
        await append(commit)
        measured.seconds.append(time.perf_counter() - began)
    measured.cpu_s += time.process_time() - cpu


def _plain(file: int) -> Append:
    page = bytes(PAGE_BYTES)
    os.pwrite(file, page * PAGES, 0)
    os.fsync(file)

    async def append(commit: Commit) -> None:
        os.pwrite(file, page, commit.seq % PAGES * PAGE_BYTES)
        os.fdatasync(file)

    return append


def _recorder(datastore: SQLiteDatastore) -> Append:
    recorder = SQLiteApplicationRecorder(datastore)
    recorder.create_table()

    async def append(commit: Commit) -> None:
        recorder.insert_events(stored_events([commit]))

    return append


def _store(database: SqliteDatabase) -> Append:
    store = SqliteEventStore(database, TREASURY_LEDGER)

    async def append(commit: Commit) -> None:
        if await store.append(commit) != Appended(commit):
            raise NothingMeasuredError(f"commit {commit.seq} was not appended")

    return append


def _synchronous(datastore: SQLiteDatastore) -> str:
    with datastore.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA synchronous")
        return _SYNCHRONOUS[cursor.fetchone()[0]]
