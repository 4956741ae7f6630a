"""Only one ledger moves the money of an account: several ledgers, one exchange, one Redis."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.treasury.account_evidence import (
    HISTORY_LAG_MS,
    MOVEMENTS_INTERVAL_MS,
)
from chimera_s1.app.capabilities.treasury.guard_account import (
    ACCOUNT_INTERVAL_MS,
    ACCOUNT_RETRY_MS,
    CHECK_INTERVAL_MS,
    CLOCK_WAIT_MS,
    CLOCK_WAITS_MAX,
    FIRST_CHECK_WAIT_S,
)
from chimera_s1.app.capabilities.treasury.transfer_admission import AccountNotClaimedError
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.installation_store import InstallationFact
from chimera_s1.domain.treasury.account_claim import (
    AccountClaim,
    AccountVerdict,
    HeldByOther,
    HistoryContradicts,
    HistoryIncomplete,
    LedgerFellBack,
    OfOtherAccount,
    Own,
    Unchecked,
    UnexplainedMovements,
)
from chimera_s1.domain.treasury.transfer import TransferStatus
from tests.account_verdicts import ACCOUNT, OTHER_ID
from tests.fakes.account_claims import MemoryAccountClaims
from tests.fakes.treasury_gateway import ScriptedTreasuryGateway
from tests.treasury_harness import (
    TO_SPOT,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import on_virtual_time

DAY_MS = 86_400_000
LEASES_END_MS = 60_000
OTHER_CLAIM = AccountClaim(installation=OTHER_ID)


def instance_in(world: TreasuryHarness, claims: MemoryAccountClaims) -> TreasuryInstance:
    return TreasuryInstance(world, claims=claims)


def second_world(first: TreasuryHarness) -> TreasuryHarness:
    """Another ledger of the same account."""
    second = TreasuryHarness(seed=2)
    second.clock, second.gateway = first.clock, first.gateway
    return second


async def move(instance: TreasuryInstance, name: str) -> TransferStatus:
    """The outcome; the instance is then killed, and its leases end."""
    async with running(instance):
        outcome = await instance.requests.accept(transfer_request(name), "tester")
    await instance.world.clock.sleep_ms(LEASES_END_MS)
    return outcome.transfer.status


async def refused(instance: TreasuryInstance, name: str) -> str:
    with pytest.raises(AccountNotClaimedError) as caught:
        await instance.requests.accept(transfer_request(name), "tester")
    return str(caught.value)


@on_virtual_time
async def test_the_second_ledger_of_an_account_moves_nothing() -> None:
    """The same key to both: one movement. Each verdict is an operational event."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    second_harness = second_world(world)
    first, second = instance_in(world, claims), instance_in(second_harness, claims)
    assert await first.guard.check() == CHECK_INTERVAL_MS
    await second.guard.check()

    assert await move(first, "t1") is TransferStatus.DONE
    text = await refused(second, "t1")

    ids = [each.installation.facts[InstallationFact.ID] for each in (world, second_harness)]
    assert f"claimed by installation {ids[0]}, and this ledger is installation {ids[1]}" in text
    assert len(world.gateway.movements_made) == 1
    assert world.operational_events == [("treasury.account", {"verdict": "Own"})]
    assert second_harness.operational_events == [
        (
            "treasury.account",
            {
                "verdict": "HeldByOther",
                "account": ACCOUNT,
                "installation": ids[1],
                "holder": ids[0],
            },
        )
    ]


@on_virtual_time
async def test_two_ledgers_that_start_at_once_agree_on_one() -> None:
    claims, world = MemoryAccountClaims(), TreasuryHarness()
    instances = [instance_in(each, claims) for each in (world, second_world(world))]
    async with anyio.create_task_group() as tasks:
        for instance in instances:
            tasks.start_soon(instance.guard.check)

    verdicts = [type(instance.guard.verdict) for instance in instances]
    assert sorted(verdicts, key=lambda each: each.__name__) == [HeldByOther, Own]
    for instance, verdict in zip(instances, verdicts, strict=True):
        may_start = InstallationFact.START in instance.world.installation.facts
        assert may_start == (verdict is Own)


@on_virtual_time
async def test_a_claim_taken_before_a_request_leaves_is_respected() -> None:
    """Between two regular checks; the accepted transfer is sent by nobody and expires."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    claims.stored[ACCOUNT] = OTHER_CLAIM
    async with running(instance):
        await instance.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(world.policy.max_age_ms + 60_000)

    assert world.gateway.sent_orders == []
    assert isinstance(instance.guard.verdict, HeldByOther)
    assert (await instance.transfer("t1")).status is TransferStatus.FAILED
    assert not await world.violations()


@on_virtual_time
async def test_a_lost_claim_is_written_again() -> None:
    """And money moves meanwhile. The instance that was refused leaves it to its holder."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    first, second = instance_in(world, claims), instance_in(second_world(world), claims)
    await first.guard.check()
    await second.guard.check()
    claims.stored.clear()
    claims.heads.clear()

    await second.guard.check()
    assert claims.stored == {}
    assert await move(first, "t1") is TransferStatus.DONE
    assert claims.stored[ACCOUNT].installation == world.installation.facts[InstallationFact.ID]
    await second.guard.check()
    assert isinstance(second.guard.verdict, HeldByOther)


@on_virtual_time
async def test_the_last_verdict_holds_while_redis_is_unavailable() -> None:
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    first, second = instance_in(world, claims), instance_in(second_world(world), claims)
    await first.guard.check()
    await second.guard.check()
    claims.unavailable = True
    await first.guard.check()
    await second.guard.check()

    assert await move(first, "t1") is TransferStatus.DONE
    assert "claimed by installation" in await refused(second, "t1")
    assert first.guard.last_error == "Redis: unavailable"

    claims.unavailable = False
    await first.guard.check()
    assert first.guard.last_error == ""


@on_virtual_time
async def test_without_a_first_verdict_nothing_is_sent() -> None:
    """A request waits for the first check, a few seconds at most; the key stays unused. What was
    accepted before a restart stays pending.
    """
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    before = TreasuryInstance(world)
    await before.requests.accept(transfer_request("t1"), "tester")
    instance = instance_in(world, claims)
    asked_ms = world.clock.monotonic_ms()
    assert "is being read" in await refused(instance, "t2")
    assert world.clock.monotonic_ms() - asked_ms == FIRST_CHECK_WAIT_S * 1000

    claims.unavailable = True
    wait_ms = await instance.guard.check()
    async with running(instance):
        assert "is not checked (Redis: unavailable)" in await refused(instance, "t2")
        await world.clock.sleep_ms(60_000)
        assert world.gateway.sent_orders == []

        claims.unavailable = False
        await instance.guard.check()
        await world.gateway.wait_until_sent()
        await world.clock.sleep_ms(1_000)
    assert wait_ms < CHECK_INTERVAL_MS
    assert (await instance.transfer("t1")).status is TransferStatus.DONE


@on_virtual_time
async def test_the_first_check_waits_for_a_sample_of_the_exchange_clock() -> None:
    """At a start nothing can be signed yet: that is no failure, unless it lasts."""
    world = TreasuryHarness()
    instance = instance_in(world, MemoryAccountClaims())
    world.gateway.read_error = ClockUncertainError("not measured yet")

    for _ in range(CLOCK_WAITS_MAX):
        assert await instance.guard.check() == CLOCK_WAIT_MS
        assert instance.guard.verdict == Unchecked()
    await instance.guard.check()
    assert isinstance(instance.guard.verdict, Unchecked)
    assert instance.guard.verdict.cause == "not measured yet"

    world.gateway.read_error = None
    assert await instance.guard.check() == CHECK_INTERVAL_MS
    assert instance.guard.reason_to_hold() == ""


@on_virtual_time
async def test_an_account_that_cannot_be_read_is_asked_for_less_and_less() -> None:
    world = TreasuryHarness()
    instance = instance_in(world, MemoryAccountClaims())
    world.gateway.read_error = ExchangeRefusedError("-2015 invalid key")

    waits = [await instance.guard.check() for _ in range(8)]

    assert waits == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
    assert instance.guard.verdict == Unchecked("-2015 invalid key")


@on_virtual_time
async def test_a_new_ledger_of_a_used_account_waits_for_an_operator() -> None:
    """The confirmation outlives a restart, and the loss of the claim."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    world.gateway.add_movement(TO_SPOT, transfer_request("t").amount)
    await world.clock.sleep_ms(6 * DAY_MS)
    instance = instance_in(world, claims)
    await instance.guard.check()

    assert instance.guard.verdict == UnexplainedMovements(ACCOUNT, 1)
    assert "this ledger does not know" in await refused(instance, "t1")
    assert claims.stored == {}

    own_id = world.installation.facts[InstallationFact.ID]
    await claims.replace(ACCOUNT, AccountClaim(installation=own_id, by_operator=True))
    await instance.guard.check()
    claims.stored.clear()
    restarted = instance_in(world, claims)
    await restarted.guard.check()
    assert await move(restarted, "t1") is TransferStatus.DONE


@on_virtual_time
async def test_a_new_ledger_of_an_unused_account_needs_no_operator() -> None:
    """Movements of more than seven days ago do not count."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    world.gateway.add_movement(TO_SPOT, transfer_request("t").amount)
    await world.clock.sleep_ms(7 * DAY_MS + 1)
    instance = instance_in(world, claims)
    await instance.guard.check()

    assert await move(instance, "t1") is TransferStatus.DONE


@on_virtual_time
async def test_a_ledger_of_an_earlier_version_claims_its_account() -> None:
    """It has transfers, so its movements are explained."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    assert await move(TreasuryInstance(world), "t0") is TransferStatus.DONE
    await world.clock.sleep_ms(HISTORY_LAG_MS)
    instance = instance_in(world, claims)
    await instance.guard.check()

    assert await move(instance, "t1") is TransferStatus.DONE
    assert world.installation.facts[InstallationFact.ACCOUNT] == ACCOUNT


@on_virtual_time
async def test_a_ledger_of_an_earlier_version_is_bound_to_no_other_account() -> None:
    """The history of that account has none of its transfers; nothing is recorded or claimed."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    assert await move(TreasuryInstance(world), "t0") is TransferStatus.DONE
    await world.clock.sleep_ms(HISTORY_LAG_MS)
    world.gateway = ScriptedTreasuryGateway(world.clock)
    world.gateway.uid = "7"
    instance = instance_in(world, claims)
    await instance.guard.check()

    assert instance.guard.verdict == HistoryContradicts("live:7", 1)
    assert InstallationFact.ACCOUNT not in world.installation.facts
    assert claims.stored == {}

    own_id = world.installation.facts[InstallationFact.ID]
    await claims.replace("live:7", AccountClaim(installation=own_id, by_operator=True))
    await instance.guard.check()
    assert verdict_of(instance) == Own()
    assert world.installation.facts[InstallationFact.ACCOUNT] == "live:7"


@pytest.mark.parametrize("age_ms", [0, 7 * DAY_MS])
@on_virtual_time
async def test_transfers_that_the_history_need_not_show_bind_a_ledger(age_ms: float) -> None:
    """Too new, or too old for the read."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    assert await move(TreasuryInstance(world), "t0") is TransferStatus.DONE
    world.gateway = ScriptedTreasuryGateway(world.clock)
    await world.clock.sleep_ms(age_ms)
    instance = instance_in(world, claims)
    await instance.guard.check()

    assert instance.guard.verdict == Own()
    assert world.installation.facts[InstallationFact.ACCOUNT] == ACCOUNT


@on_virtual_time
async def test_a_key_of_another_account_moves_nothing() -> None:
    """Found at a start, or within the hour if the key was replaced while the service runs."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    assert await move(instance, "t1") is TransferStatus.DONE
    world.gateway.uid = "7"
    restarted = instance_in(world, claims)
    await restarted.guard.check()
    assert restarted.guard.verdict == OfOtherAccount("live:7", ACCOUNT)

    verdicts = []
    for wait_ms in (0, ACCOUNT_INTERVAL_MS):
        await world.clock.sleep_ms(wait_ms)
        await instance.guard.read_account()
        await instance.guard.check()
        verdicts.append(instance.guard.verdict)
    assert verdicts == [Own(), OfOtherAccount("live:7", ACCOUNT)]


@on_virtual_time
async def test_the_account_is_read_again_each_hour_and_each_minute_after_a_failure() -> None:
    """The health sentence says so; transfers continue on the claim of the account read before."""
    world = TreasuryHarness()
    guard = instance_in(world, MemoryAccountClaims()).guard
    assert (await guard.read_account()).again_ms == ACCOUNT_RETRY_MS  # the first check reads it
    await guard.check()
    assert (await guard.read_account()).again_ms == ACCOUNT_INTERVAL_MS
    await world.clock.sleep_ms(ACCOUNT_INTERVAL_MS)

    world.gateway.read_error = ExchangeUnavailableError("timed out")
    for _ in range(2):
        assert (await guard.read_account()).again_ms == ACCOUNT_RETRY_MS
        assert await guard.check() == CHECK_INTERVAL_MS
        assert guard.last_error == "the account of the exchange key: timed out"
        assert guard.verdict == Own()

    world.gateway.read_error = None
    assert (await guard.read_account()).again_ms == ACCOUNT_INTERVAL_MS
    assert guard.last_error == ""


class SlowGateway(ScriptedTreasuryGateway):
    """Answers no read of the account until `answers` is set."""

    answers: anyio.Event | None = None

    async def account_uid(self) -> str:
        if self.answers is not None:
            await self.answers.wait()
        return await super().account_uid()


@on_virtual_time
async def test_a_slow_exchange_delays_no_check_of_the_claim() -> None:
    """The account is handed over while the exchange does not answer."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    gateway = world.gateway = SlowGateway(world.clock)
    instance = instance_in(world, claims)
    await instance.guard.check()
    await world.clock.sleep_ms(ACCOUNT_INTERVAL_MS)
    gateway.answers = anyio.Event()
    async with running(instance), anyio.create_task_group() as tasks:
        tasks.start_soon(instance.guard.read_account)
        await world.clock.sleep_ms(5_000)
        claims.stored[ACCOUNT] = OTHER_CLAIM
        await instance.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(5_000)
        verdict = instance.guard.verdict
        gateway.answers.set()

    assert isinstance(verdict, HeldByOther)
    assert gateway.sent_orders == []


@on_virtual_time
async def test_submissions_at_once_share_a_check_that_began_after_each_asked() -> None:
    """One more than the check that runs already, which may have read the claim too early."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    guard = instance_in(world, claims).guard
    await guard.check()
    before = claims.reads
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guard.check)
        await checkpoint()
        for _ in range(5):
            tasks.start_soon(guard.confirm)

    assert claims.reads - before == 2


@on_virtual_time
async def test_an_old_backup_moves_nothing_until_an_operator_takes_the_account() -> None:
    """A transfer that finished after the backup would be sent again."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    assert await move(instance, "t1") is TransferStatus.DONE
    backup = second_world(world)
    backup.installation = world.installation
    restored = instance_in(backup, claims)
    await restored.guard.check()

    assert isinstance(restored.guard.verdict, LedgerFellBack)
    assert "old backup, or a copy" in await refused(restored, "t1")
    assert len(world.gateway.movements_made) == 1

    own_id = world.installation.facts[InstallationFact.ID]
    await claims.replace(ACCOUNT, AccountClaim(installation=own_id, by_operator=True))
    await restored.guard.check()
    assert await move(restored, "t2") is TransferStatus.DONE


@pytest.mark.parametrize("with_commits", [False, True])
@on_virtual_time
async def test_a_refused_ledger_that_restarts_after_a_flush_takes_no_claim(
    with_commits: bool,
) -> None:
    """Its process no longer knows that it was refused; the account's history has a movement of
    the holder. A movement that it has observed as foreign is no less another ledger's.
    """
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    refused_world = second_world(world)
    if with_commits:
        assert await move(TreasuryInstance(refused_world), "old") is TransferStatus.DONE
        claims.stored[ACCOUNT] = AccountClaim(installation="holder", by_operator=True)
        await world.installation.record(InstallationFact.ID, "holder")
    holder, second = instance_in(world, claims), instance_in(refused_world, claims)
    await holder.guard.check()
    await second.guard.check()
    assert isinstance(second.guard.verdict, HeldByOther)
    assert await move(holder, "t1") is TransferStatus.DONE
    await second.ledger.record_foreign_movement(world.gateway.movements_made[-1], "tester")
    claims.stored.clear()
    claims.heads.clear()

    restarted = instance_in(refused_world, claims)
    await restarted.guard.check()

    assert restarted.guard.verdict == UnexplainedMovements(ACCOUNT, 1)
    assert "this ledger does not know" in await refused(restarted, "t1")
    assert claims.stored == {}


@on_virtual_time
async def test_a_backup_whose_recorded_head_was_lost_takes_no_claim() -> None:
    """Its own movements it knows, those after it only the account's history."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    backup = second_world(world)
    backup.installation = world.installation
    assert await move(instance, "t1") is TransferStatus.DONE
    claims.stored.clear()
    claims.heads.clear()

    restarted = instance_in(world, claims)
    await restarted.guard.check()
    assert restarted.guard.verdict == Own()
    claims.stored.clear()
    claims.heads.clear()
    restored = instance_in(backup, claims)
    await restored.guard.check()
    assert restored.guard.verdict == UnexplainedMovements(ACCOUNT, 1)


def verdict_of(instance: TreasuryInstance) -> AccountVerdict:
    """Read again: the type checker believes the last comparison."""
    return instance.guard.verdict


@on_virtual_time
async def test_a_row_that_cannot_be_used_forbids_the_claim_until_it_is_gone() -> None:
    """The other rows count; an operator may confirm instead."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    world.gateway.unusable_row = "row 3 has no amount"
    instance = instance_in(world, claims)
    await instance.guard.check()
    assert verdict_of(instance) == HistoryIncomplete(ACCOUNT, "row 3 has no amount")
    assert claims.stored == {}

    world.gateway.add_movement(TO_SPOT, transfer_request("t").amount)
    await world.clock.sleep_ms(MOVEMENTS_INTERVAL_MS)
    await instance.guard.check()
    assert verdict_of(instance) == UnexplainedMovements(ACCOUNT, 1)

    await world.clock.sleep_ms(7 * DAY_MS)
    world.gateway.unusable_row = ""
    await instance.guard.check()
    assert verdict_of(instance) == Own()


@on_virtual_time
async def test_movements_that_forbid_the_claim_are_read_again() -> None:
    """Not with every check: each read costs the exchange's weight."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    world.gateway.add_movement(TO_SPOT, transfer_request("t").amount)
    await world.clock.sleep_ms(7 * DAY_MS - 1_000)
    instance = instance_in(world, claims)
    verdicts = []
    for wait_ms in (0, CHECK_INTERVAL_MS, MOVEMENTS_INTERVAL_MS):
        await world.clock.sleep_ms(wait_ms)
        await instance.guard.check()
        verdicts.append(instance.guard.verdict)

    assert verdicts == [UnexplainedMovements(ACCOUNT, 1)] * 2 + [Own()]


COPIED_HEAD = LedgerHead(2, "f" * 64)


class LateClaims(MemoryAccountClaims):
    """Before the next head is recorded, another process records its own."""

    late_head: LedgerHead | None = None
    fails_afterwards = False

    async def record_reached(
        self, account: str, installation: str, head: LedgerHead, *, after: LedgerHead | None
    ) -> LedgerHead | None:
        late, self.late_head = self.late_head, None
        if late is None:
            return await super().record_reached(account, installation, head, after=after)
        self.heads[account, installation] = late
        before = await super().record_reached(account, installation, head, after=after)
        self.unavailable = self.fails_afterwards
        return before


@pytest.mark.parametrize("redis_fails_afterwards", [False, True])
@on_virtual_time
async def test_of_two_copies_of_a_ledger_the_second_to_send_is_stopped(
    redis_fails_afterwards: bool,
) -> None:
    """Even if both have read the same head before; the head of the first stays recorded."""
    world, claims = TreasuryHarness(), LateClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    claims.late_head, claims.fails_afterwards = COPIED_HEAD, redis_fails_afterwards
    async with running(instance):
        await instance.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(5_000)
        await instance.guard.check()

    assert world.gateway.sent_orders == []
    assert isinstance(instance.guard.verdict, LedgerFellBack)
    assert claims.unavailable == redis_fails_afterwards
    own_id = world.installation.facts[InstallationFact.ID]
    assert claims.heads == {(ACCOUNT, own_id): COPIED_HEAD}


@on_virtual_time
async def test_a_head_that_cannot_be_compared_stops_the_ledger() -> None:
    """It may be that of a copy; the comparison is repeated."""
    world, claims = TreasuryHarness(), LateClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    assert await move(instance, "t1") is TransferStatus.DONE
    own_id = world.installation.facts[InstallationFact.ID]
    claims.heads[ACCOUNT, own_id] = LedgerHead(1, "f" * 64)
    world.store.unavailable = True

    await instance.guard.check()
    assert isinstance(instance.guard.verdict, Unchecked)
    assert "is not checked" in instance.guard.reason_to_hold()

    world.store.unavailable = False
    await instance.guard.check()
    assert isinstance(instance.guard.verdict, LedgerFellBack)


@on_virtual_time
async def test_the_head_follows_that_of_another_instance() -> None:
    """Recorded between the read and the write by one that shares the ledger."""
    world, claims = TreasuryHarness(), LateClaims()
    instance = instance_in(world, claims)
    await instance.guard.check()
    await instance.requests.accept(transfer_request("t1"), "tester")
    claims.late_head = instance.ledger.head
    await instance.requests.accept(transfer_request("t2", 11), "tester")
    await instance.guard.check()

    own_id = world.installation.facts[InstallationFact.ID]
    assert claims.late_head is None
    assert claims.heads == {(ACCOUNT, own_id): instance.ledger.head}
    assert instance.guard.verdict == Own()


@on_virtual_time
async def test_instances_that_share_a_ledger_share_its_claim() -> None:
    """Each sees the head that the other one recorded, and both move money."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    first, second = instance_in(world, claims), instance_in(world, claims)
    await first.guard.check()
    await second.guard.check()

    for name, instance in (("t1", first), ("t2", second), ("t3", first)):
        assert await move(instance, name) is TransferStatus.DONE
    for instance in (first, second):
        await instance.guard.check()
        assert instance.guard.verdict == Own()
    assert len(world.gateway.movements_made) == 3
