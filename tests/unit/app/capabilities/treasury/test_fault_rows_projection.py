"""Fault matrix: `treasury_transfers`."""

import msgspec
import pytest

from chimera_s1.app.capabilities.treasury.project_transfers import PROJECTION_CURSOR
from chimera_s1.domain.ports.transfer_projection import TransferRow
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import (
    FailureReason,
)
from chimera_s1.domain.treasury.transfer import TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.fault_injection import FaultAction, FaultInjector, RestartingInstance
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000


async def a_past(world: TreasuryHarness) -> None:
    """Some transfers that ended in different ways."""
    world.gateway.script += [
        ScriptedResponse(executes=True),
        ScriptedResponse(executes=True, reply=ReplyUnknown("reset")),
        ScriptedResponse(reply=ReplyUnknown("reset")),
    ]
    async with running(TreasuryInstance(world)) as one:
        for number in range(5):
            await one.requests.accept(transfer_request(f"t{number}", 10 + number), "tester")
        await one.requests.accept(transfer_request("big", 100_000), "tester")
        await world.clock.sleep_ms(25 * MINUTE_MS)
    assert not await world.violations()


def corrupt(rows: dict[str, TransferRow]) -> None:
    for name, row in rows.items():
        rows[name] = msgspec.structs.replace(row, status="DONE", tran_id="1", applied_seq=9_999)


def age(rows: dict[str, TransferRow]) -> None:
    for name, row in rows.items():
        rows[name] = msgspec.structs.replace(row, phase="requested", applied_seq=1)


@pytest.mark.parametrize("spoil", [dict.clear, age, corrupt])
@on_virtual_time
async def test_row_47_spoilt_projection_is_rebuilt(spoil: object) -> None:
    world = TreasuryHarness()
    await a_past(world)
    before = dict(world.projection.rows)
    calls = (len(world.gateway.sent_orders), world.gateway.completed_reads)
    assert callable(spoil)
    spoil(world.projection.rows)
    assert world.projection.rows != before

    projector = TreasuryInstance(world).projector
    await projector.rebuild()
    while await projector.advance():
        pass

    assert world.projection.rows == before
    assert (len(world.gateway.sent_orders), world.gateway.completed_reads) == calls, (
        "replay makes no exchange calls (I12)"
    )
    assert not await world.violations()


@on_virtual_time
async def test_row_47_requests_are_answered_without_the_projection() -> None:
    world = TreasuryHarness()
    await a_past(world)
    world.projection.unavailable = True
    await world.clock.sleep_ms(MINUTE_MS)  # the leases of those before run out
    async with running(TreasuryInstance(world)) as one:
        answer = await one.requests.accept(transfer_request("t9"), "tester")
        again = await one.requests.accept(transfer_request("t1", 11), "tester")

    assert answer.transfer.status is TransferStatus.DONE
    assert again.transfer.status is TransferStatus.DONE


@on_virtual_time
async def test_row_47_rebuild_beside_a_running_service_loses_no_row() -> None:
    """The service saves the cursor it had read after the rebuild has rewound it."""
    world = TreasuryHarness()
    await a_past(world)
    before = dict(world.projection.rows)
    serving = TreasuryInstance(world)
    await serving.requests.accept(transfer_request("t9", 99), "tester")
    position = await world.cursors.read(PROJECTION_CURSOR)
    rebuilding = TreasuryInstance(world).projector
    await rebuilding.rebuild()
    await world.cursors.advance(PROJECTION_CURSOR, position)
    while await rebuilding.advance():
        pass

    assert before.keys() < world.projection.rows.keys()
    assert not await world.violations()


@on_virtual_time
async def test_row_47_projector_that_crashes_continues() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.CRASH_AFTER, 2, "projection.put")
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), MINUTE_MS)

    assert (faults.fired, process.restarts) == ("projection.put", 1)
    assert not await world.violations_now()


@on_virtual_time
async def test_row_47_rows_distinguish_failed_and_rejected() -> None:
    world = TreasuryHarness()
    await a_past(world)
    rows = {name: (row.status, row.phase) for name, row in world.projection.rows.items()}

    assert rows["t2"] == ("FAILED", "failed")
    assert rows["big"] == ("FAILED", "rejected")
    assert (await TreasuryInstance(world).transfer("t2")).failure_reason is FailureReason.ABSENT
