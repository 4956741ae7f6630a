"""What a cluster reports about itself."""

from msgspec import Struct
from redis.exceptions import ResponseError

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import configuration_advice, error_text


class ClusterReport(Struct, frozen=True):
    """*problem* is why it accepts no writes; empty if it does."""

    version: str
    masters: int
    replicas: int
    problem: str


async def describe_cluster(client: ClusterClient) -> ClusterReport:
    """Raises:
    PublisherUnavailableError: The cluster is unreachable.
    ConfigurationError: It refuses the credentials, or the server is not in cluster mode.
    """
    with client.translate_errors():
        await client.refresh()
        masters = client.get_primaries()
        server = await masters[0].execute_command("INFO", "server")
        return ClusterReport(
            version=str(server.get("redis_version", "unknown")),
            masters=len(masters),
            replicas=len(client.get_replicas()),
            problem=await cluster_problem(client),
        )


async def cluster_problem(client: ClusterClient) -> str:
    """The first problem that a master reports; empty if there is none."""
    # PING fails if writes are disabled (MISCONF); CLUSTER INFO shows whether all slots are served.
    for node in client.get_primaries():
        try:
            await node.execute_command("PING")
            info = await node.execute_command("CLUSTER INFO")
        except ResponseError as error:
            return f"Redis {node.name}: {configuration_advice(error) or error_text(error)}"
        if info["cluster_state"] != "ok":
            return f"Redis {node.name}: cluster_state is {info['cluster_state']}"
    return ""
