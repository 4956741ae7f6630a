"""What every `LeaseStore` does."""

import anyio

from tests.contract.ledger_harnesses import LedgerHarness, StoreSet

MINUTE_MS = 60_000


async def test_one_of_many_concurrent_callers_gets_a_lease(ledger_stores: StoreSet) -> None:
    """Another name is another lease."""
    holders: list[str] = []

    async def acquire(owner: str) -> None:
        if await ledger_stores.leases.acquire("executor", owner, MINUTE_MS):
            holders.append(owner)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(acquire, f"s1-{number}")

    assert len(holders) == 1
    assert await ledger_stores.leases.acquire("outbox", "s1-x", MINUTE_MS)


async def test_a_lease_expires_by_the_clock(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """No other owner gets it before; the first caller gets it after."""
    assert await ledger_stores.leases.acquire("executor", "a", MINUTE_MS)
    await ledger_harness.pass_time(MINUTE_MS - 1)
    assert not await ledger_stores.leases.acquire("executor", "b", MINUTE_MS)

    await ledger_harness.pass_time(1)

    assert await ledger_stores.leases.acquire("executor", "b", MINUTE_MS)
    assert not await ledger_stores.leases.acquire("executor", "a", MINUTE_MS)


async def test_a_holder_renews_its_lease(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Each renewal starts the duration again."""
    assert await ledger_stores.leases.acquire("executor", "a", MINUTE_MS)
    await ledger_harness.pass_time(MINUTE_MS - 1)
    assert await ledger_stores.leases.acquire("executor", "a", MINUTE_MS)
    await ledger_harness.pass_time(MINUTE_MS - 1)

    assert not await ledger_stores.leases.acquire("executor", "b", MINUTE_MS)


async def test_a_released_lease_is_free(ledger_stores: StoreSet) -> None:
    """Releasing a lease of another owner changes nothing."""
    assert await ledger_stores.leases.acquire("executor", "a", MINUTE_MS)

    await ledger_stores.leases.release("executor", "b")
    await ledger_stores.leases.release("never seen", "b")
    assert not await ledger_stores.leases.acquire("executor", "b", MINUTE_MS)
    await ledger_stores.leases.release("executor", "a")

    assert await ledger_stores.leases.acquire("executor", "b", MINUTE_MS)
