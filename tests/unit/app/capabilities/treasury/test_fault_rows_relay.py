"""Fault matrix: `ops:events`, as far as the relay decides it.

At the end every event must be there in order, repeats left out, as consumers do.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.app.capabilities.treasury.relay_transfers import RELAY_CURSOR
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    LedgerDamagedError,
    PublisherUnavailableError,
)
from chimera_s1.domain.ledger.commit import CommitDraft, LedgerHead, NewEvent, seal
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.fault_injection import FaultAction, FaultInjector, RestartingInstance
from tests.faulty_ports import DiskFullCursorStore, LossyOperationsLog, SlowCursorStore
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
SETTLED_MS = 3 * MINUTE_MS
"""Entries this old are not written again."""


@asynccontextmanager
async def serving(world: TreasuryHarness) -> AsyncIterator[TreasuryInstance]:
    """An instance that executes, reconciles, relays and projects; killed at the end."""
    instance = TreasuryInstance(world)
    async with anyio.create_task_group() as tasks:
        instance.start_all(tasks)
        yield instance
        tasks.cancel_scope.cancel()


def a_world() -> tuple[TreasuryHarness, LossyOperationsLog]:
    world = TreasuryHarness()
    operations = LossyOperationsLog()
    world.operations = operations
    return world, operations


@on_virtual_time
async def test_row_51_events_lost_in_a_failover_are_relayed_again() -> None:
    world, operations = a_world()
    async with serving(world) as one:
        for number in range(6):
            await one.requests.accept(transfer_request(f"t{number}"), "tester")
            await world.clock.sleep_ms(MINUTE_MS)
        kept = len(operations.events)
        await one.requests.accept(transfer_request("t6"), "tester")
        await world.clock.sleep_ms(MINUTE_MS / 2)
        operations.unavailable = True
        await one.requests.accept(transfer_request("t7"), "tester")
        await world.clock.sleep_ms(1_000)
        lost = operations.fail_over(kept)
        operations.unavailable = False
        await world.clock.sleep_ms(MINUTE_MS)
    times = Counter(event.event_id for event in operations.events)

    assert lost > 3
    [first] = [name for name in times if name.startswith("treasury-0000000000000001-0-")]
    assert times[first] == 1, "what was settled long ago is not repeated"
    assert not await world.violations_now()


@on_virtual_time
async def test_row_51_failover_without_a_failed_call_is_detected() -> None:
    world, operations = a_world()
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS / 2)
        lost = operations.fail_over(2)
        await world.clock.sleep_ms(MINUTE_MS)

    assert lost > 2
    assert not await world.violations_now()


@on_virtual_time
async def test_row_51_backlog_survives_a_failover_right_after_the_outage() -> None:
    """Ten minutes of commits are relayed in a second, and all of it is lost with the node."""
    world, operations = a_world()
    async with serving(world) as one:
        kept = len(operations.events)
        operations.unavailable = True
        for number in range(10):
            await one.requests.accept(transfer_request(f"t{number}"), "tester")
            await world.clock.sleep_ms(MINUTE_MS)
        operations.unavailable = False
        await world.clock.sleep_ms(10_000)
        operations.unavailable = True
        await one.requests.accept(transfer_request("t10"), "tester")
        await world.clock.sleep_ms(1_000)
        lost = operations.fail_over(kept)
        operations.unavailable = False
        await world.clock.sleep_ms(MINUTE_MS)

    assert lost > 40
    assert not await world.violations_now()


@on_virtual_time
async def test_row_51_restart_repeats_only_the_last_minute() -> None:
    world, operations = a_world()
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(SETTLED_MS)
        await one.requests.accept(transfer_request("t2"), "tester")
        await world.clock.sleep_ms(10_000)
    before = len(operations.events)
    async with serving(world):
        await world.clock.sleep_ms(10_000)
    repeated = {event.detail["transfer_id"] for event in operations.events[before:]}

    assert repeated == {"t2"}
    assert not await world.violations_now()


@on_virtual_time
async def test_row_51_truncated_ledger_is_read_only() -> None:
    """Without the missing start event the transfer would be sent again; the cursor that shows the
    loss is slow to answer.
    """
    world, operations = a_world()
    world.cursors = SlowCursorStore(world.clock, 500)
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t0"), "tester")
        await world.clock.sleep_ms(30_000)
        whole = len(world.store.contents.documents_by_seq)
        await one.requests.accept(transfer_request("t1", 11), "tester")
        await world.clock.sleep_ms(30_000)
    cut_after(world.store.contents, whole + 1)
    await world.clock.sleep_ms(MINUTE_MS)  # the leases of the one before run out
    async with serving(world) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        with pytest.raises(LedgerDamagedError):
            await one.requests.accept(transfer_request("t2", 12), "tester")
        old = await one.requests.accept(transfer_request("t0"), "tester")

        assert one.level() is Level.RED
        assert str(whole + 1) in one.ledger.damage
    assert old.transfer.status is TransferStatus.DONE, "reads go on"
    assert [order.amount for order in world.gateway.sent_orders] == [10, 11], (
        "nothing was sent again"
    )
    assert len(world.store.contents.documents_by_seq) == whole + 1
    assert operations.events


@on_virtual_time
async def test_row_51_truncated_ledger_is_detected_before_sending_without_the_relay() -> None:
    world, _ = a_world()
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(30_000)
    cut_after(world.store.contents, 1)
    await world.clock.sleep_ms(MINUTE_MS)  # the leases of the one before run out
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)

        assert "it ends at commit 1" in one.ledger.damage
    assert len(world.gateway.sent_orders) == 1
    assert len(world.store.contents.documents_by_seq) == 1


def cut_after(kept: LedgerContents, place: int) -> None:
    for seq in [seq for seq in kept.documents_by_seq if seq > place]:
        del kept.documents_by_seq[seq]
    kept.seqs_by_commit_id = {
        name: seq for name, seq in kept.seqs_by_commit_id.items() if seq <= place
    }
    for name, places in kept.seqs_by_stream.items():
        kept.seqs_by_stream[name] = [seq for seq in places if seq <= place]


@on_virtual_time
async def test_row_53_money_moves_while_redis_is_down_and_events_follow_later() -> None:
    world, operations = a_world()
    async with serving(world) as one:
        operations.unavailable = True
        for number in range(5):
            answer = await one.requests.accept(transfer_request(f"t{number}"), "tester")
            assert answer.transfer.status is TransferStatus.DONE
            await world.clock.sleep_ms(2 * MINUTE_MS)
        assert one.level() is Level.ORANGE
        assert not operations.events
        operations.unavailable = False
        await world.clock.sleep_ms(MINUTE_MS)

        assert one.level() is Level.GREEN
    assert len(world.gateway.sent_orders) == 5
    assert not await world.violations_now()


@on_virtual_time
async def test_row_54_entry_with_a_lost_reply_is_repeated_with_its_id() -> None:
    world, operations = a_world()
    operations.replies_to_lose = 3
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
    times = Counter(event.event_id for event in operations.events)

    assert operations.lost == 3
    assert max(times.values()) > 1
    assert not await world.violations_now()


@pytest.mark.parametrize(
    "refusal",
    [
        PublisherUnavailableError("OOM command not allowed"),
        PublisherUnavailableError("READONLY"),
        PublisherUnavailableError("LOADING"),
        PublisherUnavailableError("MISCONF"),
        ConfigurationError("NOAUTH"),
    ],
)
@on_virtual_time
async def test_row_55_rejected_relay_backs_off_and_reports(
    refusal: ChimeraError,
) -> None:
    world, operations = a_world()
    operations.refusal = refusal
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        assert one.level() is Level.ORANGE
        assert one.relay.last_error == str(refusal)
        refused = operations.refused
        operations.refusal = None
        await world.clock.sleep_ms(MINUTE_MS)

        assert one.level() is Level.GREEN
    assert 5 < refused < 20
    assert not await world.violations_now()


@pytest.mark.parametrize("how", [FaultAction.CRASH_BEFORE, FaultAction.CRASH_AFTER])
@pytest.mark.parametrize("kind", ["operations.record", "cursors.advance"])
@on_virtual_time
async def test_row_54_relay_that_crashes_skips_nothing(how: FaultAction, kind: str) -> None:
    world, _ = a_world()
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    faults = FaultInjector(how, 4, kind)
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), MINUTE_MS)

    assert (faults.fired, process.restarts) == (kind, 1)
    assert (await TreasuryInstance(world).transfer("t1")).phase is Phase.DONE
    assert not await world.violations_now()


@on_virtual_time
async def test_row_48_unsaved_cursor_does_not_flood_the_stream() -> None:
    """The ledger is readable and not writable; the history of the stream is kept."""
    world, operations = a_world()
    cursors = DiskFullCursorStore()
    world.cursors = cursors
    async with serving(world) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(10_000)
        cursors.full = True
        await one.requests.accept(transfer_request("t2"), "tester")
        await world.clock.sleep_ms(60 * MINUTE_MS)
        assert one.level() is Level.ORANGE
        times = Counter(event.event_id for event in operations.events)
        cursors.full = False
        await world.clock.sleep_ms(MINUTE_MS)

        assert one.level() is Level.GREEN
    assert cursors.refused > 5
    assert set(times.values()) == {1}
    assert await cursors.read(RELAY_CURSOR) == (await world.store.head()).seq
    assert not await world.violations_now()


@pytest.mark.parametrize("amount", [b'"amount":"10,0"', b'"amount":"99"'])
@on_virtual_time
async def test_row_45_changed_commit_is_not_relayed(amount: bytes) -> None:
    world, operations = a_world()
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    kept = world.store.contents.documents_by_seq
    kept[1] = kept[1].replace(b'"amount":"10"', amount)
    async with serving(world) as one:
        await world.clock.sleep_ms(MINUTE_MS)

        assert one.level() is Level.RED
        assert "commit 1 was changed" in one.relay.last_error
    assert amount in kept[1]
    assert not operations.events


@on_virtual_time
async def test_row_46_amount_of_a_newer_version_is_relayed_unchanged() -> None:
    world, operations = a_world()
    draft = CommitDraft(
        commit_id="newer",
        at=world.clock.now_ms(),
        actor="s2",
        correlation_id="",
        events=(NewEvent("transfer/t1", "treasury.transfer.split", 1, {"amount": "half"}),),
    )
    await world.store.append(seal(draft, world.store.ledger, LedgerHead(), {}))
    async with serving(world) as one:
        await world.clock.sleep_ms(MINUTE_MS)

        assert not one.relay.last_error
    (event,) = operations.events
    assert event.detail["amount"] == "half"
    assert "amount_usdt" not in event.detail
