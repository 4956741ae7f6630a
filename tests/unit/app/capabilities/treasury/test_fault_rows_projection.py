"""The row of the fault matrix about `treasury_transfers`, as far as the use cases decide it."""

import msgspec
import pytest

from chimera_s1.app.capabilities.treasury.project_transfers import CURSOR
from chimera_s1.domain.ports.transfer_projection import TransferRow
from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.events import (
    FailureKind,
)
from chimera_s1.domain.treasury.transfer import TransferStatus
from tests.fakes.treasury_gateway import Misbehaviour
from tests.fault_injection import Faults, How, Process
from tests.treasury_harness import Instance, World, running, wish
from tests.virtual_time import virtually

MINUTE_MS = 60_000


async def a_past(world: World) -> None:
    """Some transfers that ended in different ways."""
    world.exchange.script += [
        Misbehaviour(executes=True),
        Misbehaviour(executes=True, reply=Unknown("reset")),
        Misbehaviour(reply=Unknown("reset")),
    ]
    async with running(Instance(world)) as one:
        for number in range(5):
            await one.requests.request(wish(f"t{number}", 10 + number), "tester")
        await one.requests.request(wish("big", 100_000), "tester")
        await world.clock.sleep_ms(25 * MINUTE_MS)
    assert not await world.violations()


def corrupt(rows: dict[str, TransferRow]) -> None:
    for name, row in rows.items():
        rows[name] = msgspec.structs.replace(row, status="DONE", tran_id="1", applied_seq=9_999)


def age(rows: dict[str, TransferRow]) -> None:
    for name, row in rows.items():
        rows[name] = msgspec.structs.replace(row, phase="requested", applied_seq=1)


@pytest.mark.parametrize("spoil", [dict.clear, age, corrupt])
@virtually
async def test_row_47_a_projection_that_was_spoilt_is_rebuilt_as_it_was(spoil: object) -> None:
    world = World()
    await a_past(world)
    before = dict(world.projection.rows)
    calls = (len(world.exchange.sent), world.exchange.reads)
    assert callable(spoil)
    spoil(world.projection.rows)
    assert world.projection.rows != before

    projector = Instance(world).projector
    await projector.rebuild()
    while await projector.advance():
        pass

    assert world.projection.rows == before
    assert (len(world.exchange.sent), world.exchange.reads) == calls, "replay asks nobody (I12)"
    assert not await world.violations()


@virtually
async def test_row_47_answers_come_from_the_ledger_while_the_projection_is_gone() -> None:
    world = World()
    await a_past(world)
    world.projection.gone = True
    await world.clock.sleep_ms(MINUTE_MS)  # the leases of those before run out
    async with running(Instance(world)) as one:
        answer = await one.requests.request(wish("t9"), "tester")
        again = await one.requests.request(wish("t1", 11), "tester")

    assert answer.transfer.status is TransferStatus.DONE
    assert again.transfer.status is TransferStatus.DONE


@virtually
async def test_row_47_a_rebuild_beside_a_working_service_loses_no_row() -> None:
    """The service has read where it was, and writes that down after the cursor was put back."""
    world = World()
    await a_past(world)
    before = dict(world.projection.rows)
    serving = Instance(world)
    await serving.requests.request(wish("t9", 99), "tester")
    position = await world.cursors.position(CURSOR)
    rebuilding = Instance(world).projector
    await rebuilding.rebuild()
    await world.cursors.advance(CURSOR, position)
    while await rebuilding.advance():
        pass

    assert before.keys() < world.projection.rows.keys()
    assert not await world.violations()


@virtually
async def test_row_47_a_projector_that_dies_anywhere_goes_on_where_it_was() -> None:
    world = World()
    faults = Faults(How.CRASH_AFTER, 2, "projection.put")
    process = Process(world, faults)
    await process.live_through(wish("t1"), MINUTE_MS)

    assert (faults.fired, process.endings) == ("projection.put", 1)
    assert not await world.violations_as_they_are()


@virtually
async def test_row_47_failures_are_told_apart_in_the_rows() -> None:
    world = World()
    await a_past(world)
    rows = {name: (row.status, row.phase) for name, row in world.projection.rows.items()}

    assert rows["t2"] == ("FAILED", "failed")
    assert rows["big"] == ("FAILED", "rejected")
    assert (await Instance(world).transfer("t2")).failure is FailureKind.ABSENT
