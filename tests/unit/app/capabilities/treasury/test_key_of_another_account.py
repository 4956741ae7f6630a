"""A key of another account: its histories say nothing about this ledger's transfers, and it is not
mixed up with the key before or after it.
"""

import anyio
import pytest

from chimera_s1.app.capabilities.treasury.guard_account import ACCOUNT_RETRY_MS
from chimera_s1.app.capabilities.treasury.rotate_key import CHECK_INTERVAL_MS, RotateKey
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.account_claim import AccountVerdict, OfOtherAccount, Own
from chimera_s1.domain.treasury.transfer import Phase
from tests.account_verdicts import ACCOUNT
from tests.fakes.account_claims import MemoryAccountClaims
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

OTHER_ACCOUNT = "live:7"
LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))
LONG_MS = 25 * 60_000
"""Long enough to prove absence."""


class SlowGateway(ScriptedTreasuryGateway):
    """Answers the read of the account with the key that asked, when `answers` is set."""

    def __init__(self, world: TreasuryHarness) -> None:
        super().__init__(world.clock)
        self.answers = anyio.Event()

    async def account_uid(self) -> str:
        uid = self.uid
        await self.answers.wait()
        return uid


def replace_exchange(world: TreasuryHarness) -> None:
    """Another account, with another history."""
    world.gateway = ScriptedTreasuryGateway(world.clock)
    world.gateway.uid = "7"


def rotation_of(instance: TreasuryInstance, key: str, keys: dict[str, str]) -> RotateKey[str]:
    """From *key* to the last one of *keys*, which have accounts."""

    async def account_of(candidate: str) -> str:
        return keys[candidate]

    return RotateKey(
        key,
        instance.world.clock,
        read=lambda: list(keys)[-1],
        account_of=account_of,
        expected_account=instance.guard.expected_account,
        use=lambda _key, account: instance.guard.key_replaced(account),
        record_event=lambda kind, detail: instance.world.operational_events.append((kind, detail)),
    )


async def one_unknown_transfer(world: TreasuryHarness, claims: MemoryAccountClaims) -> None:
    """Sent and executed; its reply is lost, and the process ends before it is reconciled."""
    world.gateway.script.append(LOST_REPLY)
    world.gateway.history_lag_ms = LONG_MS
    instance = TreasuryInstance(world, claims=claims)
    await instance.guard.check()
    async with running(instance):
        await instance.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(10_000)
    assert len(world.gateway.movements_made) == 1
    await world.clock.sleep_ms(LONG_MS)


async def phase_after_reconciliation(world: TreasuryHarness, claims: MemoryAccountClaims) -> Phase:
    """Of a service that is started again."""
    instance = TreasuryInstance(world, claims=claims)
    await instance.guard.check()
    async with running(instance):
        await world.clock.sleep_ms(LONG_MS)
    return (await instance.transfer("t1")).phase


@on_virtual_time
async def test_the_histories_of_another_account_decide_nothing() -> None:
    """Started with the key of another account, where the movement is absent: FAILED would invite a
    second transfer.
    """
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    await one_unknown_transfer(world, claims)
    own_exchange = world.gateway
    replace_exchange(world)

    assert await phase_after_reconciliation(world, claims) is Phase.UNKNOWN
    assert world.gateway.completed_reads == 1  # of the account
    world.gateway = own_exchange
    assert await phase_after_reconciliation(world, claims) is Phase.DONE
    assert not await world.violations()


@on_virtual_time
async def test_nothing_is_decided_before_the_account_of_the_key_is_known() -> None:
    """A service starts, and its reconciler is quicker than its first check."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    await one_unknown_transfer(world, claims)
    reads_before = world.gateway.completed_reads
    instance = TreasuryInstance(world, claims=claims)
    async with running(instance):
        await world.clock.sleep_ms(LONG_MS)
        assert world.gateway.completed_reads == reads_before
        await instance.guard.check()
        await world.clock.sleep_ms(LONG_MS)
    assert (await instance.transfer("t1")).phase is Phase.DONE


@on_virtual_time
async def test_a_wrong_key_is_replaced_by_one_of_the_ledgers_account() -> None:
    """Started with a key of another account; the right one then comes through the files."""
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    await one_unknown_transfer(world, claims)
    replace_exchange(world)
    instance = TreasuryInstance(world, claims=claims)
    await instance.guard.check()
    verdicts: list[AccountVerdict] = [instance.guard.verdict]

    rotation = rotation_of(instance, "wrong", {"wrong": OTHER_ACCOUNT, "right": ACCOUNT})
    for _ in range(2):
        assert await rotation.check() == CHECK_INTERVAL_MS
    assert rotation.problem == ""
    await instance.guard.check()
    verdicts.append(instance.guard.verdict)
    assert verdicts == [OfOtherAccount(OTHER_ACCOUNT, ACCOUNT), Own()]


@pytest.mark.parametrize("known", [False, True])
@on_virtual_time
async def test_an_account_that_was_asked_with_the_key_before_is_discarded(known: bool) -> None:
    """The first read is slow, and a key of another account replaces the one that has asked: money
    would move in one account on the claim of the other.
    """
    world, claims = TreasuryHarness(), MemoryAccountClaims()
    gateway = world.gateway = SlowGateway(world)
    instance = TreasuryInstance(world, claims=claims)
    guard = instance.guard
    if known:
        gateway.answers.set()
        await guard.check()
        await world.clock.sleep_ms(60 * ACCOUNT_RETRY_MS)
        gateway.answers = anyio.Event()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guard.read_account if known else guard.check)
        await world.clock.sleep_ms(1_000)
        guard.key_replaced(OTHER_ACCOUNT)
        gateway.answers.set()
    await guard.check()

    assert await guard.expected_account() == OTHER_ACCOUNT
    assert list(claims.stored) == ([ACCOUNT] if known else []) + [OTHER_ACCOUNT]
