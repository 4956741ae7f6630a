"""Real Redis Clusters for the suites: two shared ones for the session, and small ones to break."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from redis.crc import key_slot as redis_key_slot

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from tests.time_limits import TIMEOUT_S

Addresses = tuple[RedisAddress, ...]

PARTIAL_COVERAGE = ("--cluster-require-full-coverage", "no")
"""Masters that work while another is down; by default they reply CLUSTERDOWN to everything."""


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    """A real redis-server program."""
    return find_redis_server()


@pytest.fixture(scope="session")
def redis_cluster(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """Three masters and three replicas, shared by the session; no test breaks it."""
    with running(redis_binary, tmp_path_factory.mktemp("cluster"), 3, 3) as addresses:
        yield addresses


@pytest.fixture(scope="session")
def redis_single_node(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """One node with all slots, shared by the session; no test breaks it."""
    with running(redis_binary, tmp_path_factory.mktemp("single-node"), 1, 0) as addresses:
        yield addresses


@contextmanager
def running(binary: Path, directory: Path, masters: int, replicas: int) -> Iterator[Addresses]:
    """A cluster in its own thread, so that it outlives the event loop of one test."""
    embedded = EmbeddedRedis(directory, binary=binary, masters=masters, replicas=replicas)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(embedded) as cluster,
    ):
        yield cluster.addresses


def key_slot(key: str) -> int:
    """The slot of a key, by the server's rule (CRC16 mod 16384)."""
    return int(redis_key_slot(key.encode()))


async def replicated(master: ServerProcess, replica: ServerProcess) -> None:
    """Until *replica* has every write of *master*."""
    with anyio.fail_after(TIMEOUT_S):
        while True:
            written = (await master.execute("INFO"))["master_repl_offset"]
            if (await replica.execute("INFO"))["slave_repl_offset"] >= written:
                return


async def move_keys(source: ServerProcess, target: ServerProcess, slot: int) -> None:
    """First half of a slot migration: the keys are on *target*; *source* replies ASK until
    `hand_over`.
    """
    await target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", await node_id(source))
    await source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", await node_id(target))
    keys = await source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    for key in keys:
        await source.execute("MIGRATE", target.address.host, target.address.port, key, 0, 5000)


async def hand_over(source: ServerProcess, target: ServerProcess, slot: int) -> None:
    """Second half of a slot migration: *target* owns the slot, and *source* replies MOVED."""
    owner = await node_id(target)
    await target.execute("CLUSTER", "SETSLOT", slot, "NODE", owner)
    await source.execute("CLUSTER", "SETSLOT", slot, "NODE", owner)


async def node_id(node: ServerProcess) -> str:
    return str(await node.execute("CLUSTER", "MYID"))
