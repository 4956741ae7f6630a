"""One pass over a long ledger, in a separate process so that its memory can be measured.

    python -m tests.load.ledger_walker {open | start | verify | rebuild | recorder} PATH

Prints one JSON line, a `WalkResult`.
"""

import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import msgspec
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from msgspec import Struct

from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.ledger.engine import READ_BATCH_SIZE
from chimera_s1.app.capabilities.ledger.verifier import LedgerVerifier
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER, TreasuryLedger
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.treasury.open_transfers import OpenTransfers

_STATUS = Path("/proc/self/status")  # psutil does not report the peak


class WalkResult(Struct, frozen=True):
    """Figures of a pass.

    Attributes:
        items: Number of commits, or of events for `recorder`.
        rss_mib: Resident memory before the pass.
        peak_mib: Peak resident memory of the process.
    """

    items: int
    seconds: float
    cpu_s: float
    rss_mib: float
    peak_mib: float


async def open_ledger(path: Path) -> int:
    """SQLite reads all pages when a database is opened."""
    async with SqliteDatabase(path):
        return 1


async def start(database: SqliteDatabase) -> int:
    """Catch up like a starting service."""
    ledger = _new_ledger(database)
    await ledger.catch_up()
    return ledger.open_transfers.head.seq


async def verify(database: SqliteDatabase) -> int:
    """As `chimera-s1 ledger verify`."""
    walk = LedgerVerifier(SqliteEventStore(database, TREASURY_LEDGER), OpenTransfers().fold_commit)
    while await walk.verify_next():
        pass
    return walk.head.seq


async def rebuild(database: SqliteDatabase) -> int:
    """As `chimera-s1 ledger rebuild` after it has verified."""
    projecting = build_transfer_projector(
        SqliteEventStore(database, TREASURY_LEDGER),
        SqliteTransferProjection(database),
        SqliteCursorStore(database),
        ChangeSignal(),
        SystemClock(),
    )
    await projecting.rebuild()
    done = 0
    while number := await projecting.advance():
        done += number
    return done


def recorder(path: Path) -> int:
    """Read all events with `eventsourcing`, in pages as large as ours."""
    datastore = SQLiteDatastore(str(path), originator_id_type="text")
    events = SQLiteApplicationRecorder(datastore)
    done = 0
    while some := events.select_notifications(done + 1, READ_BATCH_SIZE):
        done = some[-1].id
    return done


def _new_ledger(database: SqliteDatabase) -> TreasuryLedger:
    return TreasuryLedger(
        SqliteEventStore(database, TREASURY_LEDGER),
        clock=SystemClock(),
        new_id=lambda: uuid4().hex,
        draw=random.random,
    )


async def _measured_on(path: Path, work: Callable[[SqliteDatabase], Awaitable[int]]) -> WalkResult:
    async with SqliteDatabase(path) as database:
        return await _measured(partial(work, database))


async def _measured(work: Callable[[], Awaitable[int]]) -> WalkResult:
    before = _mib("VmRSS")
    cpu, began = time.process_time(), time.perf_counter()
    items = await work()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    return WalkResult(items, seconds, cpu, before, _mib("VmHWM"))


def _mib(name: str) -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


async def walk(mode: str, path: Path) -> WalkResult:
    match mode:
        case "open":
            return await _measured(partial(open_ledger, path))
        case "recorder":
            return await _measured(partial(anyio.to_thread.run_sync, recorder, path))
        case _:
            work = {"start": start, "verify": verify, "rebuild": rebuild}[mode]
            return await _measured_on(path, work)


if __name__ == "__main__":
    result = anyio.run(walk, sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
