"""A Redis Cluster on the loopback interface for the demo, a laptop, and the tests."""

import fcntl
import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Self

import anyio

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.cluster_assembly import assemble_cluster
from chimera_s1.adapters.redis.embedded.server_process import HOST, ServerProcess, kill_orphan
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError

_BUS_OFFSET = 10_000
# Client and bus ports stay below the ephemeral range (32768 and up on Linux): otherwise an outgoing
# connection may take the port of a server while it restarts.
_CHOSEN_PORT_MIN = 10_240
_CHOSEN_PORT_MAX = 22_700
_NAMED_PORT_MAX = 65_535 - _BUS_OFFSET
_ATTEMPTS = 5


class EmbeddedRedis:
    """Real redis-server processes in cluster mode; one master with all slots is enough."""

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path,
        masters: int = 1,
        replicas: int = 0,
        port: int = 0,
        options: tuple[str, ...] = (),
        random_below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        """Args:
        directory: For node files, logs and process ids; locked while in use.
        masters: 1, or 3 and more (Redis needs a majority to fail over).
        replicas: In total, assigned to the masters round robin.
        port: Of the first server, the others follow; 0 chooses free ones.
        random_below: Returns a random number below its argument.
        """
        self.nodes: tuple[ServerProcess, ...] = ()
        self._directory = directory
        self._binary = binary
        self._masters = masters
        self._node_count = masters + replicas
        self._port = port
        self._options = options
        self._random_below = random_below
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Raises:
        ConfigurationError: The directory is not writable or in use, or the port is taken.
        PublisherUnavailableError: A server did not start; the text has its last log line.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(self._lock_directory())
            for index in range(self._node_count):
                await kill_orphan(self._node_directory(index))
            await self._start_servers(stack)
            await assemble_cluster(self.nodes[: self._masters], self.nodes[self._masters :])
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def addresses(self) -> tuple[RedisAddress, ...]:
        """Masters first."""
        return tuple(node.address for node in self.nodes)

    async def watch(self) -> None:
        """Until all are stopped; raises `PublisherUnavailableError` if one exits by itself."""
        failures: list[PublisherUnavailableError] = []
        async with anyio.create_task_group() as group:

            async def watch_node(node: ServerProcess) -> None:
                try:
                    await node.watch()
                except PublisherUnavailableError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

            for node in self.nodes:
                group.start_soon(watch_node, node)
        if failures:
            raise failures[0]

    async def _start_servers(self, stack: AsyncExitStack) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            ports = self._choose_ports()
            self.nodes = tuple(self._make_server(index, port) for index, port in enumerate(ports))
            try:
                async with AsyncExitStack() as started:
                    for node in self.nodes:
                        started.push_async_callback(node.stop)
                        await node.start()
                    stack.push_async_exit(started.pop_all())
            except PublisherUnavailableError:
                # Another process may have taken a port since it was checked.
                if attempt == _ATTEMPTS or all(_is_free(port) for port in ports):
                    raise
            else:
                return

    def _make_server(self, index: int, port: int) -> ServerProcess:
        directory = self._node_directory(index)
        # The file of an earlier run would claim slots and refer to old nodes.
        (directory / "nodes.conf").unlink(missing_ok=True)
        return ServerProcess(self._binary, directory, port, self._options)

    def _node_directory(self, index: int) -> Path:
        return self._directory / f"node-{index}"

    def _choose_ports(self) -> list[int]:
        return self._named_ports() if self._port else self._random_ports()

    def _named_ports(self) -> list[int]:
        ports = list(range(self._port, self._port + self._node_count))
        for port in ports:
            if port > _NAMED_PORT_MAX or not _is_free(port):
                raise ConfigurationError(
                    f"port {port} (or its cluster bus port, {port + _BUS_OFFSET}) "
                    f"is not available; choose a free port below {_NAMED_PORT_MAX}, or 0 for any"
                )
        return ports

    def _random_ports(self) -> list[int]:
        ports: list[int] = []
        while len(ports) < self._node_count:
            port = _CHOSEN_PORT_MIN + self._random_below(_CHOSEN_PORT_MAX - _CHOSEN_PORT_MIN)
            if port not in ports and _is_free(port):
                ports.append(port)
        return ports

    def _lock_directory(self) -> IO[bytes]:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = (self._directory / "lock").open("wb")
        except OSError as error:
            raise ConfigurationError(
                f"embedded Redis: cannot write to {self._directory}: {error.strerror}; "
                "make it writable or choose another directory"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigurationError(
                f"{self._directory} is in use by the embedded Redis of another process; "
                "stop it or choose another directory"
            ) from None
        return lock


def _is_free(port: int) -> bool:
    for number in (port, port + _BUS_OFFSET):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError:
                return False
    return True
