"""One walk over a long ledger in a process of its own, so that its memory is its own too.

    python -m tests.load.ledger_walker {open | start | verify | rebuild | recorder} PATH

Prints one JSON line, a `Walked`.
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
from chimera_s1.app.capabilities.ledger.stores import TREASURY_LEDGER
from chimera_s1.app.capabilities.ledger.verifier import LedgerVerifier
from chimera_s1.app.capabilities.treasury.project_transfers import ProjectTransfers
from chimera_s1.app.capabilities.treasury.treasury_ledger import READ_BATCH_SIZE, TreasuryLedger

_STATUS = Path("/proc/self/status")  # psutil does not read the peak


class Walked(Struct, frozen=True):
    """What a walk came to.

    Attributes:
        items: Commits; the events of a recorder.

        cpu_s: CPU time of the process meanwhile.

        rss_mib: Memory in RAM before it, MiB.

        peak_mib: The most of it ever, MiB.
    """

    items: int
    seconds: float
    cpu_s: float
    rss_mib: float
    peak_mib: float


async def open_ledger(path: Path) -> int:
    """What opening costs: SQLite looks through all pages."""
    async with SqliteDatabase(path):
        return 1


async def start(database: SqliteDatabase) -> int:
    """As a service at its start."""
    ledger = _following(database)
    await ledger.catch_up()
    return ledger.open_transfers.head.seq


async def verify(database: SqliteDatabase) -> int:
    """As `chimera-s1 ledger verify`."""
    walk = LedgerVerifier(SqliteEventStore(database, TREASURY_LEDGER))
    while await walk.verify_next():
        pass
    return walk.head.seq


async def rebuild(database: SqliteDatabase) -> int:
    """As `chimera-s1 ledger rebuild` after it has verified."""
    projecting = ProjectTransfers(
        SqliteEventStore(database, TREASURY_LEDGER),
        SqliteTransferProjection(database),
        SqliteCursorStore(database),
        _following(database),
        SystemClock(),
    )
    await projecting.rebuild()
    done = 0
    while number := await projecting.advance():
        done += number
    return done


def recorder(path: Path) -> int:
    """The walk of `eventsourcing` over its own table, as many events at once as ours
    takes commits.
    """
    datastore = SQLiteDatastore(str(path), originator_id_type="text")
    events = SQLiteApplicationRecorder(datastore)
    done = 0
    while some := events.select_notifications(done + 1, READ_BATCH_SIZE):
        done = some[-1].id
    return done


def _following(database: SqliteDatabase) -> TreasuryLedger:
    return TreasuryLedger(
        SqliteEventStore(database, TREASURY_LEDGER),
        clock=SystemClock(),
        new_id=lambda: uuid4().hex,
        draw=random.random,
    )


async def _opened(path: Path, work: Callable[[SqliteDatabase], Awaitable[int]]) -> Walked:
    async with SqliteDatabase(path) as database:
        return await _measured(partial(work, database))


async def _measured(work: Callable[[], Awaitable[int]]) -> Walked:
    before = _mib("VmRSS")
    cpu, began = time.process_time(), time.perf_counter()
    items = await work()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    return Walked(items, seconds, cpu, before, _mib("VmHWM"))


def _mib(name: str) -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


async def walk(mode: str, path: Path) -> Walked:
    """The walk called *mode*."""
    match mode:
        case "open":
            return await _measured(partial(open_ledger, path))
        case "recorder":
            return await _measured(partial(anyio.to_thread.run_sync, recorder, path))
        case _:
            work = {"start": start, "verify": verify, "rebuild": rebuild}[mode]
            return await _opened(path, work)


if __name__ == "__main__":
    walked = anyio.run(walk, sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(walked).decode() + "\n")
