"""A long ledger: how soon a service is up on it, how quickly it is proven and projected, in how
much memory; beside it the walk of `eventsourcing` over as many events of its own.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from chimera_s1.app.capabilities.treasury.project_transfers import CACHED_TRANSFERS_MAX
from chimera_s1.app.capabilities.treasury.treasury_ledger import READ_BATCH_SIZE
from chimera_s1.domain.ledger.commit import Commit
from tests.load.ledger_generator import make_ledger, stored_events
from tests.load.ledger_walker import Walked
from tests.load.measuring import NothingMeasuredError
from tests.load.report import Row
from tests.load.running import child
from tests.load.stage import Stage

EVENTS, EVENTS_QUICK = 1_000_000, 50_000
START_S = 20.0
GROWS_MIB = 48.0
PATIENCE_S = 600.0


async def bench_treasury_ledger(stage: Stage) -> None:
    """Print the table."""
    events = EVENTS_QUICK if stage.quick else EVENTS
    with TemporaryDirectory(prefix="chimera-bench-ledger-") as name:
        ours, theirs = Path(name) / "s1.sqlite3", Path(name) / "recorder.sqlite3"
        with closing(SQLiteDatastore(str(theirs), originator_id_type="text")) as datastore:
            commits = await make_ledger(ours, events, _recording(datastore))
        size_mib = ours.stat().st_size / 2**20
        opened = await _walk(stage, "open", ours)
        started = await _walk(stage, "start", ours)
        verified = await _walk(stage, "verify", ours)
        projected = await _walk(stage, "rebuild", ours)
        recorded = await _walk(stage, "recorder", theirs)
    for name, walked in (("start", started), ("verify", verified), ("rebuild", projected)):
        if walked.items != commits:
            raise NothingMeasuredError(f"{name} came to {walked.items} of {commits} commits")
    start_s = opened.seconds + started.seconds
    stage.report.table(
        f"A ledger of {recorded.items:,} events in {commits:,} commits, {size_mib:,.0f} MiB",
        [
            Row(
                "start of a service on it: opened and folded",
                f"{start_s:.1f} s",
                f"at most {START_S:g} s",
                start_s <= START_S,
            ),
            Row("of it opening: SQLite looks through all pages", f"{opened.seconds:.1f} s"),
            *_rows("of it folding (`TreasuryLedger.catch_up`)", started, recorded.items),
            *_rows("`ledger verify`", verified, recorded.items),
            *_rows("`ledger rebuild`, once verified", projected, recorded.items),
            *_rows("`eventsourcing`, `select_notifications` to the end", recorded, recorded.items),
            Row("folding against it", f"{started.cpu_s / recorded.cpu_s:.2f} x its CPU time"),
        ],
        f"Pages of {READ_BATCH_SIZE} commits, of {READ_BATCH_SIZE} events with "
        "`eventsourcing`, which "
        "gives rows as they are: it neither decodes, proves nor folds them. Each walk runs in a "
        f"process of its own; memory before it, and the most of it. Rebuilding keeps "
        f"{CACHED_TRANSFERS_MAX:,} "
        "transfers in memory, folding and proving those that are open.",
    )


def _rows(what: str, walked: Walked, events: int) -> tuple[Row, Row]:
    speed = f"{events / walked.seconds:,.0f} events/s"
    if walked.items != events:
        speed += f", {walked.items / walked.seconds:,.0f} commits/s"
    grown_mib = walked.peak_mib - walked.rss_mib
    return (
        Row(what, f"{walked.seconds:.1f} s (CPU {walked.cpu_s:.1f} s), {speed}"),
        Row(
            f"{what}: memory (RSS)",
            f"{walked.rss_mib:.0f} MiB, then at most {walked.peak_mib:.0f}",
            f"flat: grows at most {GROWS_MIB:g} MiB",
            grown_mib <= GROWS_MIB,
        ),
    )


def _recording(datastore: SQLiteDatastore) -> Callable[[list[Commit]], None]:
    """Writes the same events as that library keeps them."""
    recorder = SQLiteApplicationRecorder(datastore)
    recorder.create_table()

    def record(commits: list[Commit]) -> None:
        recorder.insert_events(stored_events(commits))

    return record


async def _walk(stage: Stage, mode: str, path: Path) -> Walked:
    core = stage.rig.cores.service[0]
    async with child(core, "tests.load.ledger_walker", mode, str(path)) as walker:
        return Walked(**await walker.line(PATIENCE_S))
