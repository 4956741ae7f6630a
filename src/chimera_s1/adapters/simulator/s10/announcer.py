"""Announces revisions in Redis, in S10's place: `cfg:active_rev` and `cfg:events`."""

from contextlib import suppress

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from chimera_s1.domain.errors import InvalidValueError

KEY, STREAM = "cfg:active_rev", "cfg:events"
ENTRIES_KEPT = 1_000
_TIMEOUT_S = 2.0
_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)


class RevisionAnnouncer:
    """Announces nothing until `connect` names a Redis Cluster.

    Attributes:
        addresses: The cluster, `host:port,host:port`; empty without one.
        error: Why the last announcement failed; empty if it arrived.
        announced: How many arrived.
    """

    def __init__(self) -> None:
        self._client: RedisCluster | None = None
        self.addresses = ""
        self.error = ""
        self.announced = 0

    async def connect(self, addresses: str) -> None:
        """Announce to this cluster from now on; an unreachable one is no error.

        Raises:
            InvalidValueError: *addresses* is not `host:port,host:port`.
        """
        nodes = [_node(each.strip()) for each in addresses.split(",")]
        await self.close()
        self.addresses = addresses
        self._client = RedisCluster(
            startup_nodes=nodes,
            decode_responses=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )

    async def announce(self, rev: int, now_ms: int) -> bool:
        """Whether it arrived; the key is set before the entry is appended."""
        if self._client is None:
            return False
        try:
            await self._client.execute_command("SET", KEY, rev)
            await self._client.execute_command(
                "XADD", STREAM, "MAXLEN", "~", ENTRIES_KEPT, "*", "rev", rev, "ts", now_ms
            )
        except _FAILURES as error:
            self.error = str(error) or type(error).__name__
            return False
        self.error = ""
        self.announced += 1
        return True

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(*_FAILURES):
            await client.aclose()
        # aclose() skips connections if the topology was about to be read again.
        for nodes in ("nodes_cache", "startup_nodes"):
            with suppress(*_FAILURES):
                await client.nodes_manager.aclose(nodes)


def _node(address: str) -> ClusterNode:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise InvalidValueError(f"{address!r} is not the address of a Redis node, host:port")
    return ClusterNode(host.strip("[]"), int(port))
