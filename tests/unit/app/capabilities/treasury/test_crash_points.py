"""A fault at the first call of a port, then at the second, and so on until a whole run meets none:
three transfers, one with a lost reply and one with a lost request, end well wherever it strikes.
"""

import sys
from collections import Counter

import anyio
import pytest

from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.reconciliation import Patience
from tests.fakes.treasury_gateway import Misbehaviour
from tests.fault_injection import Faults, How, Process
from tests.treasury_harness import Instance, World, wish
from tests.virtual_time import run_virtually

HORIZON_MS = 180_000
QUICK = Patience(execution_ms=1_000, history_lag_ms=1_000, clean_reads=2, clean_spread_ms=1_000)
WISHES = (wish("honest", 10), wish("unheard", 25), wish("lost", 40))
POINTS_MAX = 1_000


def a_world() -> World:
    world = World()
    world.patience = QUICK
    world.looks = Backoff(base_ms=2_000, max_wait_ms=4_000, jitter_ms=0)
    world.exchange.script += [
        Misbehaviour(executes=True),
        Misbehaviour(executes=True, reply=Unknown("reset")),
        Misbehaviour(reply=Unknown("reset")),
    ]
    return world


async def until_all_is_over(world: World) -> list[str]:
    """What is wrong when nothing more happens; at the horizon, what is still open."""
    watcher = Instance(world)
    found = ["nothing was looked at"]
    while found and world.clock.monotonic_ms() < HORIZON_MS:
        await world.clock.sleep_ms(1_000)
        await watcher.ledger.catch_up()
        book = watcher.ledger.open
        open_ones = [*book.waiting, *book.unresolved, *book.unverified]
        begun = [await watcher.ledger.find(each.transfer_id) for each in WISHES]
        found = [f"{name} is open" for name in open_ones]
        if not found and all(begun):
            found = await world.violations_as_they_are()
        elif not found:
            found = ["never accepted"]
    return found


async def wrong_with(faults: Faults) -> list[str]:
    world = a_world()
    process = Process(world, faults)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(process.run)
        for each in WISHES:
            tasks.start_soon(process.ask, each)
        found = await until_all_is_over(world)
        tasks.cancel_scope.cancel()
    return found


def run_with(faults: Faults) -> list[str]:
    return run_virtually(lambda: wrong_with(faults))


@pytest.fixture(scope="module")
def honest() -> Counter[str]:
    """The port calls of a run without a fault."""
    faults = Faults()
    assert not run_with(faults)
    return faults.calls


@pytest.mark.parametrize("how", How)
def test_a_fault_at_any_port_call_breaks_no_promise(how: How, honest: Counter[str]) -> None:
    wrong: dict[str, list[str]] = {}
    fired: Counter[str] = Counter()
    for at in range(1, POINTS_MAX):
        faults = Faults(how, at)
        found = run_with(faults)
        if not faults.fired:
            break
        fired[faults.fired] += 1
        if found:
            wrong[f"{how} {at} {faults.fired}"] = found
    sys.stdout.write(f"\n{how}: {fired.total()} points {dict(fired)}")

    assert not wrong
    assert fired >= honest, "each call of an honest run was hit once"
