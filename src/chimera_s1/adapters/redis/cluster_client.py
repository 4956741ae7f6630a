"""redis-py's asyncio `RedisCluster`, configured to survive a failover."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import anyio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, RedisClusterException, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_connections import PlainConnection, TlsConnection
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, translated
from chimera_s1.adapters.redis.node_credentials import (
    NO_CREDENTIALS,
    NodeCredentials,
    no_password,
)
from chimera_s1.domain.errors import PublisherUnavailableError

ErrorListener = Callable[[Exception], None]

CONNECT_TIMEOUT_S = 5.0
_ABOUT_THE_KEY = (ResponseError, AuthenticationError, TimeoutError, RedisTimeoutError)
_CLOSE_TIMEOUT_S = 2.0
_CLOSED_BY_ANOTHER = "connection closed by another task"


class _Login(CredentialProvider):
    """Asked by redis-py for each new connection."""

    def __init__(self, credentials: NodeCredentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._credentials.read_password()
        user = self._credentials.user
        return (user, password) if user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """As above: redis-py's own logs a warning for each new connection."""
        return self.get_credentials()


class ClusterClient(RedisCluster):
    """`RedisCluster` with workarounds; *on_error_reply* gets the errors redis-py handles itself."""

    def __init__(
        self,
        addresses: Sequence[RedisAddress],
        credentials: NodeCredentials = NO_CREDENTIALS,
        **options: Any,  # noqa: ANN401 (redis-py's own)
    ) -> None:
        super().__init__(
            startup_nodes=[ClusterNode(address.host, address.port) for address in addresses],
            credential_provider=_Login(credentials) if credentials.read_password() else None,
            **options,
        )
        self._addresses = tuple(addresses)
        self.credentials = credentials
        self._set_connection_class(credentials.tls)
        self.on_error_reply: ErrorListener = _ignore_error

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode:
        """Creates an unknown node: ASK may name one that has no slots yet, and redis-py 8.1 then
        fails on None (redis/redis-py issue 4015).
        """
        node = super().get_node(host, port, node_name)
        if node is None:
            if node_name:
                host, _, text = node_name.rpartition(":")
                port = int(text)
            node = ClusterNode(str(host), int(port or 0), "primary", **self.connection_kwargs)
            self.nodes_manager.set_nodes(self.nodes_manager.nodes_cache, {node.name: node})
        return node

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (redis-py's own)
        """As redis-py, also where several tasks use this client and one of them fails: it closes
        the connection that another one is opening, which then writes to a closed transport.
        """
        try:
            return await super().execute_command(*args, **kwargs)
        except (AttributeError, RuntimeError) as error:
            raise RedisConnectionError(f"connection closed while in use: {error}") from error
        except asyncio.CancelledError as error:
            await _raise_own_cancellation(error)
            raise RedisConnectionError(_CLOSED_BY_ANOTHER) from error

    async def aclose(self) -> None:
        """As redis-py, which calls it also where a command or a pipeline has failed."""
        try:
            await super().aclose()
        except asyncio.CancelledError as error:
            await _raise_own_cancellation(error)
            raise RedisConnectionError(_CLOSED_BY_ANOTHER) from error

    @contextmanager
    def translate_errors(self, key: str = "") -> Iterator[None]:
        """Args: key: The one that the command is about; its node is named in the error.

        Raises:
            ConfigurationError: Credentials or certificates are refused, or the server is not in
                cluster mode.
            PublisherUnavailableError: Anything else; the same call may succeed later.
        """
        try:
            yield
        except REDIS_FAILURES as error:
            # Other errors contain the address, which may be another node's.
            about_key = key and isinstance(error, _ABOUT_THE_KEY)
            where = f"Redis {self.node_name(key)}: {key}" if about_key else "Redis"
            raised = translated(error, where)
            # The advice is complete; the chain would repeat the server's text.
            cause = error if isinstance(raised, PublisherUnavailableError) else None
            raise raised from cause

    def node_name(self, key: str) -> str:
        """Address of the node of *key*."""
        try:
            node = self.get_node_from_key(key)
        except RedisClusterException:
            node = None
        return node.name if node else "of an unknown node"

    async def refresh(self, failed_node: str | None = None) -> None:
        """Read the slot map without closing connections; *failed_node* is asked last."""
        try:
            if self._initialize:
                await self.initialize()
            else:
                await self.nodes_manager.initialize(last_failed_node_name=failed_node)
        except RedisClusterException:
            self._restore_configured_nodes()
            raise

    def slot_owners(self) -> dict[int, RedisAddress]:
        """The master of each slot, from the last refresh."""
        known = {node: RedisAddress(node.host, int(node.port)) for node in self.get_nodes()}
        return {slot: known[nodes[0]] for slot, nodes in self.nodes_manager.slots_cache.items()}

    def _set_connection_class(self, tls: ssl.SSLContext | None) -> None:
        # RedisCluster takes no connection class, and the names of files in place of a context.
        connection_class = PlainConnection if tls is None else partial(TlsConnection, tls=tls)
        self.connection_kwargs["connection_class"] = connection_class
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = connection_class  # type: ignore[assignment]  # (it is only called)

    def _restore_configured_nodes(self) -> None:
        # redis-py replaces the configured nodes by the discovered ones. If all of those are down
        # (the cluster came back elsewhere), only the configured ones lead to the new ones.
        known = self.nodes_manager.startup_nodes
        for address in self._addresses:
            node = ClusterNode(address.host, address.port, **self.connection_kwargs)
            known.setdefault(node.name, node)

    async def _record_error_metric(
        self,
        error: Exception,
        connection: Connection | ClusterNode,
        is_internal: bool = True,
        retry_attempts: int | None = None,
    ) -> None:
        # redis-py calls this private method with every error reply it handles itself; a test with a
        # real slot migration checks that it still does.
        self.on_error_reply(error)
        await super()._record_error_metric(error, connection, is_internal, retry_attempts)


@asynccontextmanager
async def connect_cluster(
    addresses: Sequence[RedisAddress],
    *,
    user: str = "",
    read_password: Callable[[], str] = no_password,
    tls: ssl.SSLContext | None = None,
    socket_timeout_s: float = 2.0,
) -> AsyncIterator[ClusterClient]:
    """A client that is closed at the end of the block. An unreachable cluster is no error: the
    client connects later.

    Raises:
        ConfigurationError: Credentials or certificates are refused, or the server is not in cluster
            mode.
    """
    client = ClusterClient(
        addresses,
        NodeCredentials(user, read_password, tls),
        decode_responses=True,
        encoding_errors="replace",
        protocol=2,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=socket_timeout_s,
        reinitialize_steps=0,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), 60),
    )
    try:
        with suppress(PublisherUnavailableError), client.translate_errors():
            with anyio.fail_after(CONNECT_TIMEOUT_S):
                await client.refresh()
        yield client
    finally:
        await close_cluster(client)


async def close_cluster(client: ClusterClient) -> None:
    """Close all connections of *client*, also those that redis-py's `aclose` leaves open."""
    with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True), suppress(*REDIS_FAILURES):
        await client.aclose()
    # aclose() skips connections if a refresh is due.
    for nodes in ("nodes_cache", "startup_nodes"):
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True), suppress(*REDIS_FAILURES):
            await client.nodes_manager.aclose(nodes)


async def _raise_own_cancellation(error: asyncio.CancelledError) -> None:
    """Raise where this task is cancelled; return where *error* is another task's.

    redis-py closes connections in `asyncio.gather`, which may lose the text by which a cancel scope
    knows its own cancellation. Such an error would pass the scope, and end the worker.
    """
    if error.args:
        raise error
    if anyio.current_effective_deadline() == -math.inf:
        await anyio.sleep_forever()  # the scope cancels again
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise error


def _ignore_error(_: Exception) -> None:
    """The default of `on_error_reply`."""
