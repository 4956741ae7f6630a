"""A Redis node that speaks TLS and requires a client certificate."""

import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from redis.exceptions import ResponseError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from tests.contract.certificates import Pair
from tests.contract.forward_proxy import tls_front

_PORTS = range(10_240, 22_700)

Present = Callable[[Pair], Awaitable[object]]


class TlsRedis:
    """Attributes:
    address: Its TLS port; `node` has its plain one.
    """

    def __init__(self, node: ServerProcess, address: RedisAddress, present: Present) -> None:
        self.node = node
        self.address = address
        self._present = present

    async def present(self, pair: Pair) -> None:
        """Use another server certificate for new connections."""
        await self._present(pair)


@asynccontextmanager
async def tls_redis(
    binary: Path, directory: Path, ca: Path, server: Pair
) -> AsyncIterator[TlsRedis]:
    """TLS is the server's own; where its program is built without it, that of a front."""
    async with EmbeddedRedis(directory, binary=binary) as redis:
        (node,) = redis.nodes
        if await _has_tls(binary):
            yield await _with_own_tls(node, ca, server)
        else:
            async with _behind_a_front(node, ca, server) as behind:
                yield behind


async def _has_tls(binary: Path) -> bool:
    """Servers without TLS may have its settings, too; one with it misses its certificate first."""
    tried = await anyio.run_process([binary, "--port", "0", "--tls-port", "1"], check=False)
    return b"No tls-cert-file configured" in tried.stdout


async def _with_own_tls(node: ServerProcess, ca: Path, server: Pair) -> TlsRedis:
    async def present(pair: Pair) -> None:
        files = ("tls-cert-file", str(pair.certificate), "tls-key-file", str(pair.key))
        await node.execute("CONFIG", "SET", *files, "tls-ca-cert-file", str(ca))

    await present(server)
    port = await _listen(node)
    await _announce(node, port)
    return TlsRedis(node, RedisAddress("127.0.0.1", port), present)


async def _listen(node: ServerProcess) -> int:
    while True:
        port = secrets.choice(_PORTS)
        try:
            await node.execute("CONFIG", "SET", "tls-port", port)
        except ResponseError as error:
            if "listen" not in str(error):
                raise
        else:
            return port


async def _announce(node: ServerProcess, port: int) -> None:
    await node.execute("CONFIG", "SET", "cluster-announce-port", port)
    await node.execute("CONFIG", "SET", "cluster-announce-tls-port", port)


@asynccontextmanager
async def _behind_a_front(node: ServerProcess, ca: Path, server: Pair) -> AsyncIterator[TlsRedis]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.verify_mode = ssl.CERT_REQUIRED

    async def present(pair: Pair) -> None:
        context.load_cert_chain(pair.certificate, pair.key)

    await present(server)
    async with tls_front(f"//{node.address}", context) as port:
        await node.execute("CONFIG", "SET", "cluster-announce-port", port)
        yield TlsRedis(node, RedisAddress("127.0.0.1", port), present)
