"""Forms one Redis Cluster of separate servers."""

from collections.abc import Sequence
from contextlib import suppress

import anyio
from redis.exceptions import RedisError, ResponseError

from chimera_s1.adapters.redis.embedded.server_process import HOST, ServerProcess, poll_until
from chimera_s1.adapters.redis.errors import error_text
from chimera_s1.adapters.redis.keys import SLOT_COUNT
from chimera_s1.domain.errors import PublisherUnavailableError

ASSEMBLY_TIMEOUT_S = 20.0


async def assemble_cluster(
    masters: Sequence[ServerProcess], replicas: Sequence[ServerProcess]
) -> None:
    """Takes over 2 s: a Redis server accepts no writes in its first 2 s in a cluster.

    Raises:
        PublisherUnavailableError: They did not agree within 20 s.
    """
    servers = [*masters, *replicas]
    try:
        with anyio.fail_after(ASSEMBLY_TIMEOUT_S):
            await _assign_slots(masters)
            await _introduce(servers)
            for index, replica in enumerate(replicas):
                await _replicate(replica, masters[index % len(masters)])
            await wait_until_healthy(servers, replicas=len(replicas))
    except (TimeoutError, RedisError, OSError) as error:
        raise PublisherUnavailableError(
            f"embedded redis-servers did not form a cluster: {error_text(error)} "
            f"(logs: {', '.join(str(server.log) for server in servers)})"
        ) from error


async def wait_until_healthy(servers: Sequence[ServerProcess], *, replicas: int) -> None:
    """Until every server reports that all slots are served and so many replicas are linked."""
    for server in servers:

        async def healthy(server: ServerProcess = server) -> bool:
            return (
                await _info_matches(server, "CLUSTER INFO", cluster_state="ok")
                and await _linked_replicas(server) >= replicas
                and (
                    await _info_matches(server, "INFO", role="master")
                    or await _info_matches(server, "INFO", master_link_status="up")
                )
            )

        await poll_until(healthy)


async def _assign_slots(masters: Sequence[ServerProcess]) -> None:
    for index, master in enumerate(masters):
        first = SLOT_COUNT * index // len(masters)
        await _add_slots(master, first, SLOT_COUNT * (index + 1) // len(masters) - 1)
        # Distinct epochs, so that the masters have no collisions to resolve.
        await master.execute("CLUSTER", "SET-CONFIG-EPOCH", index + 1)


async def _introduce(servers: Sequence[ServerProcess]) -> None:
    for other in servers[1:]:
        await servers[0].execute("CLUSTER", "MEET", HOST, other.address.port)
    for server in servers:
        await _wait_until_known(server, len(servers))


async def _add_slots(master: ServerProcess, first: int, last: int) -> None:
    try:
        await master.execute("CLUSTER", "ADDSLOTSRANGE", first, last)
    except ResponseError:
        # Redis 6 has no ADDSLOTSRANGE.
        await master.execute("CLUSTER", "ADDSLOTS", *range(first, last + 1))


async def _replicate(replica: ServerProcess, master: ServerProcess) -> None:
    node_id = str(await master.execute("CLUSTER", "MYID"))

    async def accepted() -> bool:
        # Refused until the replica knows its master by gossip.
        with suppress(ResponseError):
            await replica.execute("CLUSTER", "REPLICATE", node_id)
            return True
        return False

    await poll_until(accepted)


async def _wait_until_known(server: ServerProcess, count: int) -> None:
    async def all_known() -> bool:
        return await _info_matches(server, "CLUSTER INFO", cluster_known_nodes=str(count))

    await poll_until(all_known)


async def _info_matches(server: ServerProcess, command: str, **expected: str) -> bool:
    info = await server.execute(command)
    return all(info.get(name) == value for name, value in expected.items())


async def _linked_replicas(server: ServerProcess) -> int:
    nodes = await server.execute("CLUSTER NODES")
    return sum(
        "slave" in node["flags"] and (node["connected"] or "myself" in node["flags"])
        for node in nodes.values()
    )
