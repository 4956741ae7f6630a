"""Fault matrix: the ledger's store."""

from decimal import Decimal

import anyio
import pytest

from chimera_s1.app.capabilities.treasury.accept_transfers import REQUEST_TIMEOUT_S
from chimera_s1.domain.errors import LedgerTooNewError, StoreUnavailableError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.ledger.commit import CommitDraft, NewEvent, seal
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.event_records import to_new_event
from chimera_s1.domain.treasury.events import (
    Evidence,
    OperatorVerdict,
    SubmissionStarted,
    TransferRequested,
    TreasuryEvent,
    TreasuryMode,
)
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.faulty_ports import SlowEventStore
from tests.treasury_harness import (
    LIMITS,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
WRITERS = 16


@on_virtual_time
async def test_row_39_reply_is_recorded_when_the_store_is_back() -> None:
    world = TreasuryHarness()
    release = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=release))
    world.gateway.history_lag_ms = 30 * MINUTE_MS
    async with running(TreasuryInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.requests.accept, transfer_request("t1"), "tester")
        await world.gateway.wait_until_sent()
        world.store.unavailable = True
        release.set()
        await world.clock.sleep_ms(5 * MINUTE_MS)
        assert one.level() is Level.RED
        world.store.unavailable = False
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

        assert one.level() is Level.GREEN
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_39_unrecorded_reply_on_a_full_disk_keeps_the_store_red() -> None:
    """Reads succeed; an unrecorded reply is not hidden by them."""
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    release = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=release))
    async with running(TreasuryInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.requests.accept, transfer_request("t1"), "tester")
        await world.gateway.wait_until_sent()
        store.full = True
        release.set()
        levels = set()
        for _ in range(60):
            await world.clock.sleep_ms(1_000)
            levels.add(one.level())
        store.full = False
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert store.refused > 5
    assert levels == {Level.RED}
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert not await world.violations()


@on_virtual_time
async def test_row_39_failed_start_backs_off() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    store.full = True
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        refused = store.refused
        store.full = False
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert 0 < refused <= MINUTE_MS / world.policy.poll_interval_ms + 1
    assert ended.phase is Phase.DONE
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_39_reply_lost_with_its_process_is_found_in_the_history() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=anyio.Event()))
    async with running(TreasuryInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.requests.accept, transfer_request("t1"), "tester")
        await world.gateway.wait_until_sent()
        world.store.unavailable = True
        tasks.cancel_scope.cancel()
    world.store.unavailable = False
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_39_unrecorded_match_backs_off() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        store.full = True
        await world.clock.sleep_ms(10 * MINUTE_MS)
        reads = world.gateway.completed_reads
        store.full = False
        await world.clock.sleep_ms(2 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert store.refused
    assert 0 < reads < 20
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()


@on_virtual_time
async def test_row_43_request_times_out_and_retry_with_the_key_returns_the_result() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    store.head_ms = 60 * MINUTE_MS
    one = TreasuryInstance(world)
    asked_ms = world.clock.now_ms()
    with pytest.raises(StoreUnavailableError, match="ledger store timeout"):
        await one.requests.accept(transfer_request("t1"), "tester")
    waited_ms = world.clock.now_ms() - asked_ms
    store.head_ms = 0.0
    answer = await one.requests.accept(transfer_request("t1"), "tester")

    assert waited_ms == REQUEST_TIMEOUT_S * 1000
    assert not answer.replayed
    assert await world.count(TransferRequested) == 1


@on_virtual_time
async def test_row_42_sixteen_writers_keep_the_cap_and_leave_no_gap() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    writers = [TreasuryInstance(world) for _ in range(WRITERS)]
    async with anyio.create_task_group() as asking:
        for number, writer in enumerate(writers):
            for part in range(2):
                asked = transfer_request(f"t{number}-{part}", 700)
                asking.start_soon(writer.requests.accept, asked, "tester")
    states = [await writers[0].transfer(f"t{n}-{part}") for n in range(WRITERS) for part in (0, 1)]
    accepted = [each for each in states if each.phase is Phase.REQUESTED]

    assert store.conflicts
    assert len(accepted) == LIMITS.daily_cap // 700
    assert {each.phase for each in states} == {Phase.REQUESTED, Phase.REJECTED}
    assert not await world.violations()


async def newer_program_writes(
    world: TreasuryHarness, stream: str, version: int, *more: TreasuryEvent
) -> None:
    """Events of a newer version in *stream*, and some that this version knows."""
    draft = CommitDraft(
        commit_id="newer",
        at=world.clock.now_ms(),
        actor="s2",
        correlation_id="",
        events=(
            NewEvent(stream, "treasury.transfer.blessed", 1, {"by": "a bishop"}),
            *map(to_new_event, more),
        ),
    )
    await world.store.append(
        seal(draft, world.store.ledger, await world.store.head(), {stream: version})
    )


@on_virtual_time
async def test_row_46_unknown_event_stops_only_its_transfer() -> None:
    world = TreasuryHarness()
    asker = TreasuryInstance(world)
    await asker.requests.accept(transfer_request("t1", 11), "tester")
    await newer_program_writes(world, "transfer/t1", 1)
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(world.policy.max_age_ms + MINUTE_MS)
        answer = await one.requests.accept(transfer_request("t2", 12), "tester")
        blessed = await one.requests.accept(transfer_request("t1", 11), "tester")

        assert answer.transfer.status is TransferStatus.DONE
        assert blessed.transfer.status is TransferStatus.PENDING, "it can be read"
        with pytest.raises(LedgerTooNewError):
            await one.resolutions.resolve(
                parse_transfer_id("t1"),
                OperatorVerdict.FAILED,
                tran_id="",
                note="why",
                actor="tester",
            )
    assert [order.amount for order in world.gateway.sent_orders] == [Decimal(12)]
    assert await world.count(SubmissionStarted) == 1


@on_virtual_time
async def test_row_46_unknown_event_of_an_unresolved_transfer_blocks_only_it() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = MINUTE_MS
    world.gateway.script += [ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))] * 3
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1", 11), "tester")
        blessed = await one.transfer("t1")
        await newer_program_writes(world, "transfer/t1", blessed.version)
        await one.requests.accept(transfer_request("t2", 12), "tester")
        await world.clock.sleep_ms(60 * MINUTE_MS)
        assert (await one.transfer("t2")).phase is Phase.DONE
        await one.requests.accept(transfer_request("t3", 13), "tester")
        await world.clock.sleep_ms(5 * MINUTE_MS)

        assert (await one.transfer("t3")).phase is Phase.DONE
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        assert one.level() is not Level.RED


@on_virtual_time
async def test_row_46_unknown_event_of_another_mode_blocks_only_its_transfer() -> None:
    world = TreasuryHarness(TreasuryMode.SUBACCOUNT)
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1", 11), "tester")
    blessed = await one.transfer("t1")
    await newer_program_writes(world, "transfer/t1", blessed.version)
    world.mode = TreasuryMode.WALLET
    world.gateway = ScriptedTreasuryGateway(world.clock, world.mode)
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    await world.clock.sleep_ms(MINUTE_MS)  # the leases of the one before run out
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t2", 12), "tester")
        await world.clock.sleep_ms(5 * MINUTE_MS)

        assert (await one.transfer("t2")).phase is Phase.DONE
        assert not one.reconciler.last_error
    assert blessed.phase is Phase.UNKNOWN
    assert (await one.transfer("t1")).phase is Phase.UNKNOWN


@on_virtual_time
async def test_row_46_movement_with_an_unknown_event_is_not_claimed() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await newer_program_writes(world, f"tran/{world.gateway.movements_made[0].tran_id}", 0)
        await world.clock.sleep_ms(60 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert ended.phase is Phase.UNKNOWN
    assert ended.in_review


@on_virtual_time
async def test_row_46_transfer_with_an_unknown_first_event_is_too_new() -> None:
    world = TreasuryHarness()
    started = SubmissionStarted(
        transfer_id=parse_transfer_id("t1"),
        attempt=1,
        signed_at=world.clock.now_ms(),
        recv_window_ms=5_000,
        request_hash="0" * 64,
    )
    await newer_program_writes(world, "transfer/t1", 0, started)
    one = TreasuryInstance(world)
    with pytest.raises(LedgerTooNewError):
        await one.requests.accept(transfer_request("t1"), "tester")

    assert not one.ledger.damage


@on_virtual_time
async def test_row_45_health_calls_an_undecodable_newest_commit_damage() -> None:
    """The service runs; nothing else than a restored ledger ends it."""
    world = TreasuryHarness()
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        documents = world.store.contents.documents_by_seq
        newest = max(documents)
        documents[newest] = documents[newest][:-20]
        await world.clock.sleep_ms(MINUTE_MS)
        report = one.report()

    assert report.level is Level.RED
    assert report.sentence.startswith(
        f"the ledger is damaged: commit {newest} (treasury-{newest:016d}) cannot be decoded"
    )
    assert "chimera-s1 ledger verify" in report.sentence
    assert len(world.gateway.sent_orders) == 1
