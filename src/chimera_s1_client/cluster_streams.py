"""Reads streams of a Redis Cluster: one command per stream, one pipeline per call."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chimera_s1_client.errors import ClientError, InvalidArgumentError
from chimera_s1_client.stream_cursor import Command, Entry

TIMEOUT_S = 5.0
_SOCKET_TIMEOUT_S = 2.0
# redis-py closes a connection that another task opens, which then fails in these ways.
_FAILURES = (
    RedisError, RedisClusterException, OSError, TimeoutError, AttributeError, RuntimeError,
)  # fmt: skip
_NODE_FAILURES = (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError)


class RedisUnavailableError(ClientError):
    """Redis does not answer, or refuses; the server's own words are in the text."""


class RedisAccess(Struct, frozen=True, kw_only=True):
    """How to reach the service's Redis Cluster.

    Attributes:
        addresses: `host:port`, comma separated; some nodes are enough.
        tls: Keyword arguments of redis-py, like `ssl_ca_certs`; None for no TLS.
    """

    addresses: str
    user: str = ""
    password: str = ""
    tls: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"RedisAccess(addresses={self.addresses!r}, user={self.user!r}, password=***)"


class ClusterStreams:
    """One client of the cluster, for one task.

    Raises:
        InvalidArgumentError: An address is not host:port.
    """

    def __init__(self, access: RedisAccess) -> None:
        self._client = RedisCluster(
            startup_nodes=[ClusterNode(*each) for each in parse_addresses(access.addresses)],
            username=access.user or None,
            password=access.password or None,
            decode_responses=True,
            encoding_errors="replace",
            protocol=2,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
            **({} if access.tls is None else {"ssl": True, **access.tls}),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.reset()
        # aclose() leaves connections open where the topology was about to be read again.
        for nodes in ("nodes_cache", "startup_nodes"):
            with suppress(*_FAILURES):
                await self._client.nodes_manager.aclose(nodes)

    async def reset(self) -> None:
        """Close the connections; the next read discovers the cluster again."""
        with suppress(*_FAILURES):
            await self._client.aclose()

    async def by_node(self, streams: Sequence[str]) -> list[list[str]]:
        """*streams*, grouped by the node that has them now.

        Raises:
            RedisUnavailableError: No node answers.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._client.initialize()
                groups: dict[str, list[str]] = {}
                for stream in streams:
                    node = self._client.get_node_from_key(stream)
                    groups.setdefault(node.name if node else "", []).append(stream)
                return list(groups.values())
        except _FAILURES as error:
            await self.reset()
            raise RedisUnavailableError(_text(error)) from error

    async def read(self, commands: Sequence[Command]) -> list[list[Entry] | RedisUnavailableError]:
        """Send *commands*, each about one stream; what the server refuses is an error in its place.

        Raises:
            RedisUnavailableError: A node does not answer. Nothing is lost: read again.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                pipeline = self._client.pipeline()
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, _NODE_FAILURES):
                    raise reply
        except _FAILURES as error:
            await self.reset()
            raise RedisUnavailableError(_text(error)) from error
        return [
            RedisUnavailableError(_text(reply)) if isinstance(reply, ResponseError) else reply
            for reply in replies
        ]


def parse_addresses(text: str) -> list[tuple[str, int]]:
    """Parse `redis-0:7000,[::1]:7000`.

    Raises:
        InvalidArgumentError: An entry is not host:port, or the list is empty.
    """
    found: list[tuple[str, int]] = []
    for entry in (each.strip() for each in text.split(",") if each.strip()):
        host, _, port = entry.rpartition(":")
        if not host or set(host) & set("/@") or not (port.isascii() and port.isdigit()):
            raise InvalidArgumentError(
                "Redis addresses are host:port,host:port, without a password"
            )
        found.append((host.strip("[]"), int(port)))
    if not found:
        raise InvalidArgumentError("no address of a Redis node; expected host:port,host:port")
    return found


def _text(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
