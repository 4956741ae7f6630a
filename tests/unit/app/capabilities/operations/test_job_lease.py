"""One instance holds a job at a time, and keeps it while it renews."""

import anyio
import pytest

from chimera_s1.app.capabilities.operations.job_lease import LEASE_MS, JobLease
from tests.fakes.ledger_stores import FaultyLeaseStore
from tests.virtual_time import LoopClock, on_virtual_time

POLL_MS = 500
MINUTE_MS = 60_000


class Pair:
    """Two instances that want the same job."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.store = FaultyLeaseStore(self.clock)
        self.first = JobLease("job", self.store, "first", self.clock)
        self.second = JobLease("job", self.store, "second", self.clock)

    async def held(self) -> tuple[bool, bool]:
        return await self.first.acquire_or_renew(), await self.second.acquire_or_renew()


@on_virtual_time
async def test_holder_keeps_the_job_while_it_renews() -> None:
    pair = Pair()
    for _ in range(MINUTE_MS // POLL_MS):
        assert await pair.held() == (True, False)
        await pair.clock.sleep_ms(POLL_MS)


@on_virtual_time
async def test_holder_paused_for_too_long_loses_the_job() -> None:
    pair = Pair()
    assert await pair.held() == (True, False)
    await pair.clock.sleep_ms(LEASE_MS)
    assert await pair.second.acquire_or_renew()

    for _ in range(MINUTE_MS // POLL_MS):
        assert await pair.held() == (False, True)
        await pair.clock.sleep_ms(POLL_MS)


@on_virtual_time
async def test_released_job_is_free_at_once() -> None:
    pair = Pair()
    assert await pair.held() == (True, False)

    await pair.first.release()

    assert await pair.second.acquire_or_renew()
    assert not await pair.first.acquire_or_renew()


@on_virtual_time
async def test_job_held_by_another_is_not_released() -> None:
    pair = Pair()
    assert await pair.held() == (True, False)

    await pair.second.release()

    assert await pair.held() == (True, False)


@on_virtual_time
async def test_lease_that_cannot_be_released_expires(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    assert await pair.first.acquire_or_renew()
    pair.store.unavailable = True

    await pair.first.release()

    assert "cannot release lease job: " in caplog.text
    pair.store.unavailable = False
    assert not await pair.second.acquire_or_renew()
    await pair.clock.sleep_ms(LEASE_MS)
    assert await pair.second.acquire_or_renew()


@on_virtual_time
async def test_a_cancelled_holder_frees_the_job() -> None:
    """At SIGTERM workers are cancelled: another instance takes over at once, not in 10 s."""
    pair = Pair()

    async def work() -> None:
        async with pair.first.released_at_end():
            assert await pair.first.acquire_or_renew()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        assert not await pair.second.acquire_or_renew()
        tasks.cancel_scope.cancel()

    assert await pair.second.acquire_or_renew()
