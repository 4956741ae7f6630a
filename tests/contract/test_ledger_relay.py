"""The ledger's way to `ops:events` on real Redis Clusters: slots that move, a master that is
killed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import anyio

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import poll_until
from chimera_s1.adapters.redis.errors import REDIS_FAILURES
from chimera_s1.adapters.redis.keys import SLOT_COUNT
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.treasury.relay_transfers import build_transfer_relay
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.operations.backoff import Backoff
from tests.contract.ledger_commits import append_commits
from tests.contract.publisher_load import error_count
from tests.contract.redis_cluster import Addresses, hand_over, key_slot, move_keys, replicated
from tests.contract.test_operations_log import read_event
from tests.time_limits import TIMEOUT_S
from tests.treasury_invariants import read_all, violations_of

STREAM = "ops:events"
COMMITS_EACH = 5
LAGGING = ("--cluster-node-timeout", "1000")
"""A dead master is replaced within two seconds."""


class Relayed:
    """A ledger, and what of it is on the stream."""

    def __init__(self, writing: ClusterClient, reading: ClusterClient) -> None:
        clock = SystemClock()
        self.store = MemoryEventStore("main")
        self._reading = reading
        cursors = MemoryCursorStore()
        ledger = TreasuryLedger(
            self.store, clock=clock, new_id=lambda: uuid4().hex, draw=lambda: 0.5
        )
        self.relay = build_transfer_relay(
            self.store,
            cursors,
            RedisOperationsLog(writing, maxlen=10_000),
            ledger,
            clock=clock,
            retries=Backoff(base_ms=1, max_wait_ms=1, jitter_ms=0),
        )

    async def go_on(self) -> None:
        """Some more commits, and all of them relayed."""
        await append_commits(self.store, COMMITS_EACH)
        while await self.relay.advance():
            pass

    async def until_whole(self) -> None:
        """Relay until every event of the ledger is on the stream."""
        entries = await read_all(self.store)
        wanted = {record.id for entry in entries for record in entry.commit.events}

        async def whole() -> bool:
            return wanted <= set(await self.ids())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.relay.run)
            with anyio.fail_after(TIMEOUT_S):
                await poll_until(whole)
            tasks.cancel_scope.cancel()

    async def entries_after_failover(self) -> int:
        """How many entries the new master has, once it answers."""
        found: list[int] = []

        async def answered() -> bool:
            with suppress(*REDIS_FAILURES):
                found.append(len(await self.ids()))
            return bool(found)

        with anyio.fail_after(TIMEOUT_S):
            await poll_until(answered)
        return found[0]

    async def ids(self) -> list[str]:
        """The `event_id`s on the stream, in its order."""
        entries = await self._reading.execute_command("XRANGE", STREAM, "-", "+")
        return [read_event(fields).event_id for _, fields in entries]


@asynccontextmanager
async def relayed_to(addresses: Addresses) -> AsyncIterator[Relayed]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:
        yield Relayed(writing, reading)


async def test_row_52_a_slot_that_moves_takes_the_stream_along(
    redis_binary: Path, tmp_path: Path
) -> None:
    """ASK while it moves, MOVED when it has: nothing is missing, out of order or there twice."""
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as redis,
        relayed_to(redis.addresses) as relayed,
    ):
        slot = key_slot(STREAM)
        source = redis.nodes[slot * 3 // SLOT_COUNT]
        target = next(node for node in redis.nodes if node is not source)
        await relayed.go_on()
        await move_keys(source, target, slot)
        await relayed.go_on()
        await hand_over(source, target, slot)
        await relayed.go_on()

        ids = await relayed.ids()
        assert await error_count(redis.nodes, "ASK") > 0
        assert await error_count(redis.nodes, "MOVED") > 0
        assert await violations_of(relayed.store, relayed=ids) == []
        assert len(ids) == len(set(ids)) == 3 * COMMITS_EACH


async def test_row_51_what_a_killed_master_took_with_it_is_written_again(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Its replica lacks the newest entries although they were acknowledged; the relay detects that
    even if no call failed.
    """
    async with (
        EmbeddedRedis(
            tmp_path, binary=redis_binary, masters=3, replicas=3, options=LAGGING
        ) as redis,
        relayed_to(redis.addresses) as relayed,
    ):
        index = key_slot(STREAM) * 3 // SLOT_COUNT
        master, replica = redis.nodes[index], redis.nodes[3 + index]
        await relayed.go_on()
        await replicated(master, replica)
        replica.pause()
        assert await master.execute("CLIENT", "KILL", "TYPE", "replica") == 1
        await relayed.go_on()
        before = len(await relayed.ids())
        await master.kill()
        replica.resume()
        after = await relayed.entries_after_failover()
        assert after < before, "the fault did not fire: the replica had everything"

        await relayed.until_whole()

        assert await violations_of(relayed.store, relayed=await relayed.ids()) == []
