"""Faults that a drill injects into the Redis servers of a demo; not for any other use."""

from contextlib import suppress

import anyio
from redis.asyncio.cluster import ClusterNode

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES

_TIMEOUT_S = 5.0
_POLL_INTERVAL_S = 0.02


async def shut_down_masters(client: ClusterClient) -> None:
    """Shut down every master; its data is lost. Raises `PublisherUnavailableError`."""
    await _execute_on_masters(client, "SHUTDOWN", "NOSAVE")


async def pause_masters(client: ClusterClient, duration_ms: int) -> None:
    """CLIENT PAUSE on every master. Raises `PublisherUnavailableError`."""
    await _execute_on_masters(client, "CLIENT", "PAUSE", str(duration_ms))


async def wait_until_masters_up(client: ClusterClient) -> None:
    """Until every master serves its slots."""
    for node in client.get_primaries():
        while not await _is_up(node):  # noqa: ASYNC110 (a server has no notifications)
            await anyio.sleep(_POLL_INTERVAL_S)


async def _execute_on_masters(client: ClusterClient, *command: str) -> None:
    with client.translate_errors():
        await client.refresh()
    for node in client.get_primaries():
        # SHUTDOWN closes the connection without a reply.
        with suppress(*REDIS_FAILURES), anyio.move_on_after(_TIMEOUT_S):
            await node.execute_command(*command)


async def _is_up(node: ClusterNode) -> bool:
    with suppress(*REDIS_FAILURES), anyio.move_on_after(_TIMEOUT_S):
        return "cluster_state:ok" in str(await node.execute_command("CLUSTER", "INFO"))
    return False
