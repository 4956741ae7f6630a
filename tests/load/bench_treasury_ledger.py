"""A long ledger: time and memory to start on it, verify it and rebuild its projection. For
comparison `eventsourcing` reads as many events of its own.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from chimera_s1.app.capabilities.ledger.engine import READ_BATCH_SIZE
from chimera_s1.app.capabilities.treasury.project_transfers import CACHED_TRANSFERS_MAX
from chimera_s1.domain.ledger.commit import Commit
from tests.load.bench_context import BenchContext
from tests.load.figures import NothingMeasuredError
from tests.load.ledger_generator import make_ledger, stored_events
from tests.load.ledger_walker import WalkResult
from tests.load.processes import child
from tests.load.report import Row

EVENTS, EVENTS_QUICK = 1_000_000, 50_000
START_S = 20.0
GROWS_MIB = 48.0
TIMEOUT_S = 600.0


async def bench_treasury_ledger(bench: BenchContext) -> None:
    events = EVENTS_QUICK if bench.quick else EVENTS
    with TemporaryDirectory(prefix="chimera-bench-ledger-") as name:
        ours, theirs = Path(name) / "s1.sqlite3", Path(name) / "recorder.sqlite3"
        with closing(SQLiteDatastore(str(theirs), originator_id_type="text")) as datastore:
            commits = await make_ledger(ours, events, _recording(datastore))
        size_mib = ours.stat().st_size / 2**20
        opened = await _walk(bench, "open", ours)
        started = await _walk(bench, "start", ours)
        verified = await _walk(bench, "verify", ours)
        projected = await _walk(bench, "rebuild", ours)
        recorded = await _walk(bench, "recorder", theirs)
    for name, result in (("start", started), ("verify", verified), ("rebuild", projected)):
        if result.items != commits:
            raise NothingMeasuredError(f"{name} read {result.items} of {commits} commits")
    start_s = opened.seconds + started.seconds
    bench.report.table(
        f"A ledger of {recorded.items:,} events in {commits:,} commits, {size_mib:,.0f} MiB",
        [
            Row(
                "start of a service on it: opened and folded",
                f"{start_s:.1f} s",
                f"at most {START_S:g} s",
                start_s <= START_S,
            ),
            Row("part of it: opening, SQLite reads all pages", f"{opened.seconds:.1f} s"),
            *_rows("part of it: folding (`TreasuryLedger.catch_up`)", started, recorded.items),
            *_rows("`ledger verify`", verified, recorded.items),
            *_rows("`ledger rebuild`, once verified", projected, recorded.items),
            *_rows("`eventsourcing`, `select_notifications` to the end", recorded, recorded.items),
            Row("folding against it", f"{started.cpu_s / recorded.cpu_s:.2f} x its CPU time"),
        ],
        f"Pages of {READ_BATCH_SIZE} commits, or of {READ_BATCH_SIZE} events with `eventsourcing`, "
        "which returns rows without decoding, verifying or folding them. Each pass runs in its own "
        "process; memory is that before the pass, and the peak. Rebuilding keeps "
        f"{CACHED_TRANSFERS_MAX:,} transfers in memory.",
    )


def _rows(what: str, result: WalkResult, events: int) -> tuple[Row, Row]:
    speed = f"{events / result.seconds:,.0f} events/s"
    if result.items != events:
        speed += f", {result.items / result.seconds:,.0f} commits/s"
    grown_mib = result.peak_mib - result.rss_mib
    return (
        Row(what, f"{result.seconds:.1f} s (CPU {result.cpu_s:.1f} s), {speed}"),
        Row(
            f"{what}: memory (RSS)",
            f"{result.rss_mib:.0f} MiB, then at most {result.peak_mib:.0f}",
            f"flat: grows at most {GROWS_MIB:g} MiB",
            grown_mib <= GROWS_MIB,
        ),
    )


def _recording(datastore: SQLiteDatastore) -> Callable[[list[Commit]], None]:
    """Write the same events with `eventsourcing`."""
    recorder = SQLiteApplicationRecorder(datastore)
    recorder.create_table()

    def record(commits: list[Commit]) -> None:
        recorder.insert_events(stored_events(commits))

    return record


async def _walk(bench: BenchContext, mode: str, path: Path) -> WalkResult:
    core = bench.rig.cores.service[0]
    async with child(core, "tests.load.ledger_walker", mode, str(path)) as walker:
        return WalkResult(**await walker.line(TIMEOUT_S))
