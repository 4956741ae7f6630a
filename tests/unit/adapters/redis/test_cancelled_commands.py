"""A cancellation that redis-py passes on without its text ends the scope, not the worker."""

import asyncio
from typing import Any

import anyio
import pytest
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from tests.fakes.manual_clock import settle

pytestmark = pytest.mark.anyio


async def lose_the_text(*_: Any, **__: Any) -> None:
    """As `asyncio.gather` where its last child ends by itself."""
    cancelled = False
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError:
        cancelled = True
    assert cancelled
    raise asyncio.CancelledError


async def cancelled_elsewhere(*_: Any, **__: Any) -> None:
    """As a future that another task waited for, and was cancelled."""
    raise asyncio.CancelledError


@pytest.fixture(params=["execute_command", "aclose"])
def method(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def client(method: str, behaviour: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(RedisCluster, method, behaviour)
    return getattr(ClusterClient([RedisAddress("127.0.0.1", 9)]), method)


async def test_a_timeout_is_a_timeout(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = client(method, lose_the_text, monkeypatch)

    with pytest.raises(TimeoutError), anyio.fail_after(0.01):
        await call()


async def test_the_cancellation_of_a_scope_is_taken_by_it(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = client(method, lose_the_text, monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await settle()
        tasks.cancel_scope.cancel()

    assert tasks.cancel_scope.cancelled_caught


async def test_the_cancellation_of_another_task_is_an_error_of_the_connection(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = client(method, cancelled_elsewhere, monkeypatch)

    with pytest.raises(RedisConnectionError, match="closed by another task"):
        await call()


async def test_a_task_that_is_cancelled_without_a_scope_ends(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = asyncio.ensure_future(client(method, lose_the_text, monkeypatch)())
    await settle()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
