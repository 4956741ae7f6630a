"""A Redis Cluster of our own on the loopback interface: for the demo, a laptop, and the tests."""

import fcntl
import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import IO, Self

import anyio

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.cluster_assembly import assemble_cluster
from chimera_s1.adapters.redis.embedded.server_process import HOST, ServerProcess, kill_orphan
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError

_BUS_OFFSET = 10_000
# Below the ports that systems give to outgoing connections (32768 and up on Linux), bus ports too:
# otherwise a client's connection may sit on a port while its server restarts.
_CHOSEN_PORT_MIN = 10_240
_CHOSEN_PORT_MAX = 22_700
_NAMED_PORT_MAX = 65_535 - _BUS_OFFSET
_ATTEMPTS = 5


class EmbeddedRedis:
    """Real redis-server processes in cluster mode, started and stopped with the `async with` block.

    One master with all slots is the smallest cluster; it behaves like any other.
    """

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
        directory: Its state: node files, logs, process ids. One owner at a time.

        binary: The redis-server program, see `find_redis_server`.

        masters: 1, or 3 and more (Redis needs a majority to fail over).

        replicas: Of all masters together; they are dealt out in turn.

        port: Of the first server, the others follow; 0 chooses free ones.

        options: More redis-server command line options.

        random_below: Returns a number below its argument; the chance in the choice of ports.
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
        ConfigurationError: The directory cannot be written, another process owns it, or the
            port is taken.

        PublisherUnavailableError: A server did not start; the text holds its last log line.
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
        """Of all nodes, masters first; each prints as `127.0.0.1:7001`."""
        return tuple(node.address for node in self.nodes)

    async def watch(self) -> None:
        """Until every server was stopped on purpose.

        Raises:
            PublisherUnavailableError: A server ended by itself; the text names it.
        """
        failures: list[PublisherUnavailableError] = []
        async with anyio.create_task_group() as group:

            async def one(node: ServerProcess) -> None:
                try:
                    await node.watch()
                except PublisherUnavailableError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

            for node in self.nodes:
                group.start_soon(one, node)
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
                # Somebody else may have taken a chosen port meanwhile; a named one was free too.
                if attempt == _ATTEMPTS or all(_is_free(port) for port in ports):
                    raise
            else:
                return

    def _make_server(self, index: int, port: int) -> ServerProcess:
        directory = self._node_directory(index)
        # What an earlier run left would claim slots and look for nodes that are gone.
        with suppress(FileNotFoundError):
            (directory / "nodes.conf").unlink()
        return ServerProcess(self._binary, directory, port, self._options)

    def _node_directory(self, index: int) -> Path:
        return self._directory / f"node-{index}"

    def _choose_ports(self) -> list[int]:
        if self._port:
            ports = list(range(self._port, self._port + self._node_count))
            taken = [port for port in ports if port > _NAMED_PORT_MAX or not _is_free(port)]
            if taken:
                raise ConfigurationError(
                    f"port {taken[0]} (or its cluster bus port, {taken[0] + _BUS_OFFSET}) "
                    f"cannot be used; name one below {_NAMED_PORT_MAX} that is free, or 0"
                )
            return ports
        ports = []
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
                f"the embedded Redis cannot keep its state in {self._directory}: "
                f"{error.strerror}; make the directory writable or name another"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigurationError(
                f"another process runs its embedded Redis in {self._directory}; "
                "stop it, or name another directory"
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
