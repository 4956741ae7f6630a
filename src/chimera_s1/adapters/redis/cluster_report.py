"""What a cluster says about itself, for people who look for the fault."""

from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.cluster_probe import cluster_problem
from chimera_s1.adapters.redis.errors import translate_redis_errors


class ClusterReport(Struct, frozen=True):
    """A cluster that answers.

    Attributes:
        version: Of the server that serves the first slots.

        masters: Servers with slots.

        replicas: Servers that stand by.

        problem: Why it takes no writes; empty where it does.
    """

    version: str
    masters: int
    replicas: int
    problem: str


async def describe_cluster(client: ClusterClient) -> ClusterReport:
    """Ask the cluster of *client*.

    Raises:
        PublisherUnavailableError: It does not answer.

        ConfigurationError: It refuses the credentials, or is not a cluster.
    """
    with translate_redis_errors():
        await client.refresh()
        masters = client.get_primaries()
        server = await masters[0].execute_command("INFO", "server")
        return ClusterReport(
            version=str(server.get("redis_version", "unknown")),
            masters=len(masters),
            replicas=len(client.get_replicas()),
            problem=await cluster_problem(client),
        )
