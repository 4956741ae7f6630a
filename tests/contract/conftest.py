"""Fixtures of all contract suites."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from tests.contract.ledger_harnesses import ledger_harness, ledger_stores
from tests.contract.redis_cluster import redis_binary, redis_cluster, redis_single_node
from tests.contract.treasury_service import site, treasury_exchange, treasury_redis
from tests.steady_time import SteadyLoop
from tests.time_limits import TIMEOUT_S

__all__ = [
    "anyio_backend",
    "ledger_harness",
    "ledger_stores",
    "redis_binary",
    "redis_cluster",
    "redis_single_node",
    "site",
    "tasks",
    "treasury_exchange",
    "treasury_redis",
]


@pytest.fixture(
    scope="module", params=[pytest.param(("asyncio", {"loop_factory": SteadyLoop}), id="asyncio")]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    """A group for what runs beside a test; cancelled at its end."""
    with anyio.fail_after(2 * TIMEOUT_S):
        async with anyio.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()
