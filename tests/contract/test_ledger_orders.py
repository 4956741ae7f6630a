"""`chimera-s1 ledger` and the execution ledger, as real processes on a real SQLite file."""

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.execution.execution_ledger import (
    EXECUTION_LEDGER,
    ExecutionLedger,
)
from chimera_s1.app.capabilities.ledger.verifier import anchor_text
from chimera_s1.domain.ledger.commit import LedgerHead
from tests.processes import finished
from tests.unit.domain.execution.test_observation import ENTRY, LIMIT, planned, said, trade

FILE = "s1.sqlite3"


async def write_order(state_dir: Path) -> LedgerHead:
    """One order with two trades; the ledger's head."""
    numbers = count()
    async with SqliteDatabase(state_dir / FILE) as database:
        ledger = ExecutionLedger(
            SqliteEventStore(database, EXECUTION_LEDGER),
            clock=SystemClock(),
            new_id=lambda: f"commit-{next(numbers)}",
            draw=lambda: 0.0,
            report_unknown=lambda *_: None,
        )
        await ledger.plan(planned(LIMIT), "s4")
        for report in (said("NEW", 0, 10), trade("1"), trade("2"), said("FILLED", 2, 30)):
            await ledger.record("s1/stream", report)
        return ledger.head


def tamper(state_dir: Path) -> None:
    with closing(sqlite3.connect(state_dir / FILE)) as connection, connection:
        connection.execute("DROP TRIGGER treasury_commits_never_change")
        connection.execute(
            "UPDATE treasury_commits SET document = replace(document, '100', '999') "
            "WHERE ledger = 'execution' AND seq = 3"
        )


async def ledger(state_dir: Path, *arguments: str) -> tuple[int, str, str]:
    return await finished("ledger", *arguments, environment={"S1_STATE_DIR": str(state_dir)})


async def test_orders_are_listed_shown_and_verified(tmp_path: Path) -> None:
    head = await write_order(tmp_path)

    code, out, err = await ledger(tmp_path, "orders")
    assert (code, err) == (0, "")
    [row] = [line.split("\t") for line in out.splitlines()]
    assert row[1:10] == [
        ENTRY,
        "perp",
        "BTCUSDT",
        "BUY",
        "LIMIT 2 at 100 GTC",
        "2",
        "closed",
        "FILLED",
        "entry",
    ]

    code, out, _ = await ledger(tmp_path, "order", ENTRY)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"order {ENTRY}: BUY BTCUSDT on perp, LIMIT 2 at 100 GTC"
    assert lines[-1] == "now   closed (FILLED), filled 2 at 100"
    assert len(lines) == 2 + head.seq

    code, out, err = await ledger(tmp_path, "verify", "--execution-anchor", anchor_text(head))
    assert code == 0, err
    assert f"execution commits {head.seq}, each unchanged and in order\n" in out
    assert f"execution passed  {anchor_text(head)}\n" in out
    assert f"execution anchor  {anchor_text(head)}\n" in out

    tamper(tmp_path)
    code, out, err = await ledger(tmp_path, "verify")
    assert code == 1
    assert "execution ledger: commit 3 was changed after it was written" in err
    assert "execution anchor" not in out
