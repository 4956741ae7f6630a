"""The leader of the shards hangs and another server becomes the leader while a ledger is in use."""

import anyio
import pytest
from anyio import to_thread

from chimera_s1.adapters.arango.layout import CURSORS, LEASES, TRANSFERS
from chimera_s1.adapters.arango.lease_store import ArangoLeaseStore
from chimera_s1.adapters.arango.transfer_projection import ArangoTransferProjection
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, head_of
from chimera_s1.domain.ports.event_store import Appended
from tests.arango_double import ArangoDouble
from tests.arango_double.faults import Fault
from tests.contract.arango_ledger_harness import QUERY_PATH, FailoverLedgerHarness
from tests.contract.arango_store_harness import (
    COMMITS_PATH,
    ArangoStoreHarness,
    connected_store,
    double,
    make_commit,
)
from tests.contract.ledger_commits import append_commits, verify_links
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet, ledger_harness, ledger_stores
from tests.contract.test_arango_faults import LONG_TIMEOUTS
from tests.contract.test_transfer_projection import row_of
from tests.fakes.manual_clock import ManualClock

__all__ = ["double", "ledger_harness", "ledger_stores"]

WRITERS = 4
HANGING = [
    ("POST", COMMITS_PATH, "apply-then-hold-then-410/1654"),
    ("POST", COMMITS_PATH, "hold-then-406/1490"),
    ("POST", COMMITS_PATH, "apply-then-hold-then-406/1489"),
    ("PUT", COMMITS_PATH, "hold-then-410/21"),
    ("POST", QUERY_PATH, "hold-then-410/1500"),
    ("PUT", f"/_api/document/{LEASES}", "apply-then-hold-then-410/21"),
    ("POST", f"/_api/document/{CURSORS}", "apply-then-hold-then-421/1491"),
    ("POST", f"/_api/document/{TRANSFERS}", "apply-then-hold-then-410/1654"),
]
"""Requests that wait for the old leader, and what they are answered when there is another one."""
CHANGED = [("POST", COMMITS_PATH), ("PUT", COMMITS_PATH), ("POST", QUERY_PATH)]
"""What the new leader refuses at first."""


async def write_until_appended(harness: ArangoStoreHarness, written: list[Commit]) -> None:
    result = None
    while not isinstance(result, Appended):
        result = await harness.events.append(make_commit(await harness.events.head()))
    written.append(result.commit)


async def test_row_41_reads_and_writes_survive_a_leader_that_hangs_and_changes(
    double: ArangoDouble,
) -> None:
    """Of the requests that hang, some have been applied; none is applied twice."""
    async with connected_store(double, LONG_TIMEOUTS, commands_max=16) as harness:
        leases = ArangoLeaseStore(harness.arango, ManualClock())
        transfers = ArangoTransferProjection(harness.arango)
        (first,) = await append_commits(harness.events, 1)
        assert await leases.acquire("executor", "a", 60_000)
        hanging = [double.faults.arm(do, method=m, path=path) for m, path, do in HANGING]
        changed = [double.faults.arm("503/1496", method=m, path=path) for m, path in CHANGED]
        written: list[Commit] = []
        entries: list[LedgerEntry] = []
        held: list[bool] = []

        async def read() -> None:
            entries.extend(await harness.events.read(0, 1))

        async def renew() -> None:
            held.append(await leases.acquire("executor", "a", 60_000))

        async with anyio.create_task_group() as group:
            for _ in range(WRITERS):
                group.start_soon(write_until_appended, harness, written)
            group.start_soon(read)
            group.start_soon(renew)
            group.start_soon(harness.cursors.advance, "outbox", 7)
            group.start_soon(transfers.put, (row_of("a"),))
            await to_thread.run_sync(change_leader, hanging)

        written.sort(key=lambda commit: commit.seq)
        assert harness.stored_commit_ids() == [commit.commit_id for commit in (first, *written)]
        assert len(written) == WRITERS
        assert await verify_links(harness.events) == (head_of(written[-1]), "")
        assert ([entry.commit for entry in entries], held) == ([first], [True])
        assert not await leases.acquire("executor", "b", 60_000)
        assert await harness.cursors.read("outbox") == 7
        assert await transfers.get("a") == row_of("a")
        assert [fault.fired for fault in (*hanging, *changed)] == [1] * len(hanging + changed)


def change_leader(hanging: list[Fault]) -> None:
    """Wait until each of *hanging* holds a request, then answer all."""
    for fault in hanging:
        fault.wait_fired()
    for fault in hanging:
        fault.release()


@pytest.mark.parametrize("ledger_harness", ["arango_failover"], indirect=True)
async def test_the_store_suite_meets_failovers(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """The suites run over `arango_failover` too: its faults fire and nothing shows them."""
    assert isinstance(ledger_harness, FailoverLedgerHarness)

    commits = await append_commits(ledger_stores.events, 30)

    assert await verify_links(ledger_stores.events, limit=30) == (head_of(commits[-1]), "")
    assert ledger_harness.fault_count() > 0
