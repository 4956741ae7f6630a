"""Cluster faults under load: `make soak`, or one of them with `make soak ARGS="--only stop"`.

Each runs under 20,000 generated messages/s through the real `PublishQuotes`. At the end every entry
is compared with the quotes; a wrong number, a wrong order or an unreported loss fails the run.
"""

import argparse
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from tests.contract.publisher_load import PublisherLoad, error_count, publisher_under_load, slot_of
from tests.contract.redis_cluster import PARTIAL_COVERAGE, hand_over, move_keys
from tests.contract.test_node_publisher_under_load import NO_FAILOVER
from tests.contract.test_quote_publisher_faults import become_empty_master
from tests.load.report import Report, say

STOP_S = 30
HANGS = 10
HANG_S = 3
SLOTS_MOVED = 60
KILLS = 3

Nodes = Sequence[ServerProcess]


class Fault(Struct, frozen=True):
    """A cluster fault and the cluster it needs; *inflict* returns how often the fault fired."""

    what: str
    masters: int
    replicas: int
    options: tuple[str, ...]
    inflict: Callable[[PublisherLoad, Nodes], Awaitable[int]]


async def stop(load: PublisherLoad, nodes: Nodes) -> int:
    """Stop all servers and start them again with their data."""
    for node in nodes:
        await node.execute("CONFIG", "SET", "save", "3600 1")
        await node.stop()
    await load.publisher.wait_for_unpublished()
    stopped = sum(node.pid is None for node in nodes)
    await anyio.sleep(STOP_S)
    for node in nodes:
        await node.start()
    await wait_until_healthy(nodes, replicas=0)
    return stopped


async def hang(load: PublisherLoad, nodes: Nodes) -> int:
    """Pause one server after the other."""
    for number in range(HANGS):
        node = nodes[number % len(nodes)]
        node.pause()
        await load.publisher.wait_for_unpublished()
        await anyio.sleep(HANG_S)
        node.resume()
        await load.publisher.wait_for_complete()
    return HANGS


async def kill(load: PublisherLoad, nodes: Nodes) -> int:
    """Kill each master in turn; it returns as the replica of its successor."""
    for node in nodes[:KILLS]:
        await node.kill()
        await load.publisher.wait_for_unpublished()
        await load.publisher.wait_for_complete()
        await node.start()
        await wait_until_healthy(nodes, replicas=KILLS)
        await load.publisher.wait_for_complete(40)
    return KILLS


async def move(load: PublisherLoad, nodes: Nodes) -> int:
    """Migrate slots to an empty master, each through ASK; compares counts with the servers'."""
    source, target = nodes[0], nodes[-1]
    await become_empty_master(target, source)
    slots = sorted({slot_of(each) for each in load.instruments_on_master(0)})[:SLOTS_MOVED]
    for slot in slots:
        await move_keys(source, target, slot)
        await load.publisher.wait_for_complete(4)
        await hand_over(source, target, slot)
        await load.publisher.wait_for_complete(2)
    counted = load.publisher.counters.moved_replies, load.publisher.counters.ask_replies
    reported = await error_count(nodes, "MOVED"), await error_count(nodes, "ASK")
    assert counted == reported, f"counted MOVED and ASK {counted}, the servers say {reported}"
    return len(slots)


FAULTS = {
    "stop": Fault(f"full stop, {STOP_S} s", 3, 0, (), stop),
    "hang": Fault(f"{HANGS} servers stopped for {HANG_S} s", 3, 0, NO_FAILOVER, hang),
    "kill": Fault(f"{KILLS} masters killed", 3, 3, PARTIAL_COVERAGE, kill),
    "move": Fault(f"{SLOTS_MOVED} slots to an empty master", 3, 1, (), move),
}


@asynccontextmanager
async def faulty_cluster(fault: Fault) -> AsyncIterator[tuple[PublisherLoad, Nodes]]:
    """A new cluster under load."""
    with TemporaryDirectory(prefix="chimera-soak-") as directory:
        redis = EmbeddedRedis(
            Path(directory),
            binary=find_redis_server(""),
            masters=fault.masters,
            replicas=fault.replicas,
            options=fault.options,
        )
        async with redis, publisher_under_load(redis.addresses) as load:
            yield load, redis.nodes


async def run(names: Sequence[str]) -> None:
    """Inflict the faults *names* and print the results."""
    lines: list[Sequence[str]] = [
        ("fault", "fired", "messages", "entries", "handed back", "missing", "repeated", "MOVED/ASK")
    ]
    for name in names:
        fault = FAULTS[name]
        say(f"{fault.what} ...")
        async with faulty_cluster(fault) as (load, nodes):
            fired = await fault.inflict(load, nodes)
            await load.publisher.wait_for_complete(40)
            result = await load.audit()
            counters = load.publisher.counters
            silent = result.missing - load.publisher.unpublished
            # A killed master loses acknowledged entries that it had not replicated yet.
            assert not silent or name == "kill", f"{len(silent)} quotes were lost unreported"
            lines.append(
                (
                    fault.what,
                    str(fired),
                    f"{load.market.messages:,}",
                    f"{result.entries:,}",
                    f"{len(load.publisher.unpublished):,}",
                    f"{len(result.missing):,}",
                    f"{result.repeated:,}",
                    f"{counters.moved_replies}/{counters.ask_replies}",
                )
            )
    Report().grid("The writer under 20,000 messages/s", lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").strip())
    parser.add_argument("--only", choices=FAULTS, action="append", help="this fault (repeatable)")
    chosen = parser.parse_args().only or list(FAULTS)
    logging.disable(logging.ERROR)
    anyio.run(run, chosen)


if __name__ == "__main__":
    main()
