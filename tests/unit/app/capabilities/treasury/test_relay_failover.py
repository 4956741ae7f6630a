"""A node of `ops:events` fails over between two writes, at any of them."""

from functools import partial

import anyio

from tests.faulty_ports import FailingOver
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, transfer_request
from tests.virtual_time import run_on_virtual_time

TRANSFERS = 8
BETWEEN_MS = 300
LACKING = 2
WRITES = range(8, 32)


async def relay_through_a_failover(fails_at: int) -> list[str]:
    """The violations at the end."""
    world = TreasuryHarness()
    world.operations = operations = FailingOver(fails_at, LACKING)
    one = TreasuryInstance(world)
    async with anyio.create_task_group() as tasks:
        one.start_all(tasks)
        for number in range(TRANSFERS):
            await one.requests.accept(transfer_request(f"t{number}"), "tester")
            await world.clock.sleep_ms(BETWEEN_MS)
        await world.clock.sleep_ms(60_000)
        tasks.cancel_scope.cancel()
    assert operations.missing == LACKING
    return await world.violations_now()


def test_row_51_events_lost_before_a_failed_write_are_repeated() -> None:
    """The next write may succeed before the relay checks its newest entry."""
    wrong = {at: run_on_virtual_time(partial(relay_through_a_failover, at)) for at in WRITES}

    assert not {at: found for at, found in wrong.items() if found}
