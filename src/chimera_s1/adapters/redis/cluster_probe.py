"""Does the cluster take writes?"""

from redis.asyncio.cluster import RedisCluster


async def cluster_problem(client: RedisCluster) -> str:
    """Ask every master; empty, or the first thing that is wrong, for people.

    PING of a Redis that may not write (MISCONF) fails by itself; CLUSTER INFO says whether the
    slots are served.
    """
    for node in client.get_primaries():
        await node.execute_command("PING")
        info = await node.execute_command("CLUSTER INFO")
        if info["cluster_state"] != "ok":
            return f"Redis {node.name}: cluster_state is {info['cluster_state']}"
    return ""
