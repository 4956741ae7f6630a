"""A fault at the first port call, then at the second, up to the last of a run without a fault.

Three transfers, one with a lost reply and one with a lost request, always end correctly.
"""

import sys
from collections import Counter

import anyio
import pytest

from chimera_s1.app.capabilities.treasury.reconciliation_schedule import ReconciliationPace
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.fault_injection import FaultAction, FaultInjector, RestartingInstance
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, transfer_request
from tests.virtual_time import run_on_virtual_time

HORIZON_MS = 180_000
QUICK = ReconciliationTiming(
    execution_ms=1_000, history_lag_ms=1_000, clean_reads=2, clean_spread_ms=1_000
)
WISHES = (
    transfer_request("honest", 10),
    transfer_request("unheard", 25),
    transfer_request("lost", 40),
)
READS = {
    "store.read",
    "store.read_stream",
    "store.head",
    "cursors.read",
    "operations.contains",
    "gateway.read_movements",
    "gateway.read_income",
}
"""Calls that change nothing."""

BEFORE = {FaultAction.ERROR_BEFORE, FaultAction.CRASH_BEFORE, FaultAction.CANCEL_BEFORE}


def a_world() -> TreasuryHarness:
    world = TreasuryHarness()
    world.timing = QUICK
    world.pace = ReconciliationPace(2_000, 4_000)
    world.gateway.script += [
        ScriptedResponse(executes=True),
        ScriptedResponse(executes=True, reply=ReplyUnknown("reset")),
        ScriptedResponse(reply=ReplyUnknown("reset")),
    ]
    return world


async def until_all_is_over(world: TreasuryHarness) -> list[str]:
    """The violations once nothing more happens, or the open transfers at the horizon."""
    watcher = TreasuryInstance(world)
    found = ["nothing was looked at"]
    while found and world.clock.monotonic_ms() < HORIZON_MS:
        await world.clock.sleep_ms(1_000)
        await watcher.ledger.catch_up()
        book = watcher.ledger.open_transfers
        open_ones = [*book.queued, *book.unresolved, *book.unverified]
        begun = [await watcher.ledger.find(each.transfer_id) for each in WISHES]
        found = [f"{name} is open" for name in open_ones]
        if not found and all(begun):
            found = await world.violations_now()
        elif not found:
            found = ["never accepted"]
    return found


async def wrong_with(faults: FaultInjector) -> list[str]:
    world = a_world()
    process = RestartingInstance(world, faults)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(process.run)
        for each in WISHES:
            tasks.start_soon(process.request, each)
        found = await until_all_is_over(world)
        tasks.cancel_scope.cancel()
    return found


def run_with(faults: FaultInjector) -> list[str]:
    return run_on_virtual_time(lambda: wrong_with(faults))


@pytest.fixture(scope="module")
def honest() -> list[str]:
    """The port calls of a run without a fault."""
    faults = FaultInjector()
    assert not run_with(faults)
    return faults.sequence


@pytest.mark.parametrize("how", FaultAction)
def test_invariants_hold_for_a_fault_at_any_port_call(how: FaultAction, honest: list[str]) -> None:
    """A fault after a read differs in nothing from one before it, and is left out."""
    wrong: dict[str, list[str]] = {}
    points = [(at, call) for at, call in enumerate(honest, 1) if how in BEFORE or call not in READS]
    for at, call in points:
        faults = FaultInjector(how, at)
        found = run_with(faults)
        assert faults.fired == call
        if found:
            wrong[f"{how} {at} {call}"] = found
    sys.stdout.write(f"\n{how}: {len(points)} points {Counter(call for _, call in points)}")

    assert not wrong
