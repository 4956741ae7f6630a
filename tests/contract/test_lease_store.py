"""What every `LeaseStore` does."""

import anyio

from tests.contract.ledger_harnesses import Bench, Stores

MINUTE_MS = 60_000


async def test_one_of_many_gets_a_lease(stores: Stores) -> None:
    """However many ask at once; another name is another lease."""
    holders: list[str] = []

    async def ask(owner: str) -> None:
        if await stores.leases.acquire("executor", owner, MINUTE_MS):
            holders.append(owner)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, f"s1-{number}")

    assert len(holders) == 1
    assert await stores.leases.acquire("outbox", "s1-x", MINUTE_MS)


async def test_a_lease_ends_by_the_clock(bench: Bench, stores: Stores) -> None:
    """Nobody else gets it before, the first who asks gets it after."""
    assert await stores.leases.acquire("executor", "a", MINUTE_MS)
    await bench.pass_time(MINUTE_MS - 1)
    assert not await stores.leases.acquire("executor", "b", MINUTE_MS)

    await bench.pass_time(1)

    assert await stores.leases.acquire("executor", "b", MINUTE_MS)
    assert not await stores.leases.acquire("executor", "a", MINUTE_MS)


async def test_a_holder_keeps_a_lease_by_asking_again(bench: Bench, stores: Stores) -> None:
    """The time begins anew with each."""
    assert await stores.leases.acquire("executor", "a", MINUTE_MS)
    await bench.pass_time(MINUTE_MS - 1)
    assert await stores.leases.acquire("executor", "a", MINUTE_MS)
    await bench.pass_time(MINUTE_MS - 1)

    assert not await stores.leases.acquire("executor", "b", MINUTE_MS)


async def test_a_released_lease_is_free(stores: Stores) -> None:
    """For anybody, at once; releasing what one does not have changes nothing."""
    assert await stores.leases.acquire("executor", "a", MINUTE_MS)

    await stores.leases.release("executor", "b")
    await stores.leases.release("never seen", "b")
    assert not await stores.leases.acquire("executor", "b", MINUTE_MS)
    await stores.leases.release("executor", "a")

    assert await stores.leases.acquire("executor", "b", MINUTE_MS)
