"""The node publisher under 20,000 messages/s while real servers die, move, hang and refuse writes.

Generated messages go through the real `PublishQuotes` in windows of 50 ms. Afterwards every entry
is compared with the offered quotes: no value is wrong, none is out of order, the newest is there,
and only quotes that were reported unpublished are missing.
"""

from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from tests.contract.publisher_load import (
    error_count,
    instruments_of,
    publisher_under_load,
    rejected_write_count,
    slot_of,
)
from tests.contract.quote_stores import (
    MAXLEN,
    fresh_instruments,
    make_quote,
    problem_of,
    publish_until_acknowledged,
    redis_store,
    stored_bids,
)
from tests.contract.redis_cluster import PARTIAL_COVERAGE, hand_over, move_keys
from tests.contract.tcp_proxy import redis_behind_proxy
from tests.contract.test_quote_publisher_faults import become_empty_master
from tests.time_limits import TIMEOUT_S

NO_FAILOVER = (*PARTIAL_COVERAGE, "--cluster-node-timeout", "20000")
"""A cluster that does not fail over while a server is stopped."""

SLOW_LOADING = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
"""Servers that take 10 ms to load each key, and reply LOADING meanwhile."""


async def test_a_killed_master_affects_only_its_own_streams(
    redis_binary: Path, tmp_path: Path
) -> None:
    """SIGKILL; its replica takes over. Missing quotes were reported, and belong to that node."""
    async with (
        EmbeddedRedis(
            tmp_path, binary=redis_binary, masters=3, replicas=3, options=PARTIAL_COVERAGE
        ) as redis,
        publisher_under_load(redis.addresses) as load,
    ):
        before = {each: len(offered) for each, offered in load.market.offered.items()}
        await redis.nodes[0].kill()
        await load.publisher.wait_for_unpublished()
        await load.publisher.wait_for_complete()
        audit = await load.audit()

        assert str((await redis.nodes[3].execute("INFO"))["role"]) == "master"
        affected = load.instruments_on_master(0)
        # A dying server can lose its last acknowledged writes: replication is asynchronous.
        unreplicated = {
            quote
            for each in affected
            for quote in load.market.offered[each][max(0, before[each] - 3) : before[each] + 1]
        }
        assert audit.missing
        assert instruments_of(audit.missing) <= affected
        assert audit.missing <= load.publisher.unpublished | unreplicated


async def test_a_migration_to_an_empty_master_loses_nothing_and_is_counted_exactly(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Ten slots move to a master without slots: first ASK, then MOVED. Every quote of every window
    is there once, and our counters equal the servers' statistics.
    """
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, replicas=1) as redis,
        publisher_under_load(redis.addresses[:3]) as load,
    ):
        source, newcomer = redis.nodes[0], redis.nodes[3]
        await become_empty_master(newcomer, source)
        slots = sorted({slot_of(each) for each in load.instruments_on_master(0)})[:10]
        for slot in slots:
            await move_keys(source, newcomer, slot)
            await load.publisher.wait_for_complete(2)
        asks_before_handover = load.publisher.counters.ask_replies
        for slot in slots:
            await hand_over(source, newcomer, slot)
        await load.publisher.wait_for_complete(5)
        await load.finish()
        counters = load.publisher.counters
        moved = await error_count(redis.nodes, "MOVED")
        asked = await error_count(redis.nodes, "ASK")
        audit = await load.audit()

        assert asks_before_handover > len(slots)
        assert (counters.moved_replies, counters.ask_replies) == (moved, asked)
        assert counters.moved_replies >= len(slots)
        assert counters.failures == counters.busy_replies == 0
        assert not audit.missing
        assert audit.repeated == 0
        assert audit.entries == counters.published


async def test_publishing_resumes_after_a_full_stop_and_after_loading(
    redis_binary: Path, tmp_path: Path
) -> None:
    """All masters stop and restart with their data, which they load slowly."""
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, options=SLOW_LOADING) as redis,
        publisher_under_load(redis.addresses) as load,
    ):
        for node in redis.nodes:
            await node.execute("CONFIG", "SET", "save", "3600 1")
            await node.stop()
        await load.publisher.wait_for_unpublished(3)
        stopped = [node.pid for node in redis.nodes]
        for node in redis.nodes:
            await node.start()
        await wait_until_healthy(redis.nodes, replicas=0)
        await load.publisher.wait_for_complete()
        audit = await load.audit()

        assert stopped == [None, None, None]
        assert await error_count(redis.nodes, "LOADING") > 0
        rejected = await rejected_write_count(redis.nodes)
        assert load.publisher.counters.busy_replies == rejected > 0
        assert audit.missing
        assert audit.missing <= load.publisher.unpublished


async def test_a_hanging_master_delays_no_other_and_its_late_commands_keep_the_order(
    redis_binary: Path, tmp_path: Path
) -> None:
    """SIGSTOP for longer than the reply timeout: the publisher closes the connection while the
    server has unread commands. When the server resumes, they run before all newer ones, or not at
    all.
    """
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, options=NO_FAILOVER) as redis,
        publisher_under_load(redis.addresses, reply_timeout_s=0.5) as load,
    ):
        node = redis.nodes[1]
        for _ in range(2):
            node.pause()
            await load.publisher.wait_for_unpublished(15)
            node.resume()
            await load.publisher.wait_for_complete()
        audit = await load.audit()

        kills = (await node.execute("INFO", "commandstats"))["cmdstat_client|kill"]
        assert kills["calls"] > 1
        affected = load.instruments_on_master(1)
        assert instruments_of(load.publisher.unpublished) == affected
        assert audit.missing
        assert audit.missing <= load.publisher.unpublished


@pytest.mark.parametrize(
    ("on", "off", "kind"),
    [
        pytest.param(("maxmemory", "1"), ("maxmemory", "0"), "OOM", id="out of memory"),
        pytest.param(
            ("min-replicas-to-write", "1"),
            ("min-replicas-to-write", "0"),
            "NOREPLICAS",
            id="too few replicas",
        ),
    ],
)
async def test_a_master_that_refuses_writes_affects_only_its_own_streams(
    redis_binary: Path, tmp_path: Path, on: tuple[str, str], off: tuple[str, str], kind: str
) -> None:
    """A node replies to every write with an error; after it recovers, the newest are there."""
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as redis,
        publisher_under_load(redis.addresses) as load,
    ):
        node = redis.nodes[2]
        await node.execute("CONFIG", "SET", *on)
        await load.publisher.wait_for_unpublished(5)
        problem = await problem_of(load.publisher)
        await node.execute("CONFIG", "SET", *off)
        await load.publisher.wait_for_complete()
        audit = await load.audit()

        assert await error_count([node], kind) > 0
        assert kind in problem
        assert str(node.address) in problem
        affected = load.instruments_on_master(2)
        assert instruments_of(load.publisher.unpublished) == affected
        assert audit.missing <= load.publisher.unpublished
        assert audit.repeated == 0


async def test_commands_delayed_in_the_network_are_never_run_after_newer_ones(
    redis_binary: Path, tmp_path: Path
) -> None:
    """A batch is stuck in the network; the publisher closes the connection and publishes newer
    quotes over the next one. When the network delivers the batch, the server writes none of it.
    """
    instruments = fresh_instruments(100)
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, _),
        redis_store([proxy.address], "official") as reading,
        connect_cluster([proxy.address]) as client,
        NodeQuotePublisher(
            client,
            maxlen=MAXLEN,
            window=EVERY_UPDATE,
            clock=SystemClock(),
            draw=lambda: 0.5,
            timeout_s=0.3,
            reply_timeout_s=0.3,
        ) as publisher,
    ):
        rounds = [[make_quote(each) for each in instruments] for _ in range(3)]
        assert (await publisher.publish(rounds[0])).published == len(instruments)
        proxy.hold()
        stuck = await publisher.publish(rounds[1])
        await publish_until_acknowledged(publisher, rounds[2])
        with anyio.fail_after(TIMEOUT_S):
            await proxy.let_go()

        assert stuck.unpublished == tuple(rounds[1])
        for number, each in enumerate(instruments):
            assert await stored_bids(reading.reader, each) == [
                rounds[0][number].bid,
                rounds[2][number].bid,
            ]


async def test_a_slow_network_loses_nothing(redis_binary: Path, tmp_path: Path) -> None:
    """Every read is delayed by 200 ms on the way to the server, and replies arrive 7 bytes at a
    time. Windows are merged; each quote that was not reported unpublished is there once.
    """
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, node),
        publisher_under_load([proxy.address]) as load,
    ):
        proxy.delay_s, proxy.piece_bytes = 0.2, 7
        await load.publisher.wait_for_complete(5)
        merged = load.publishing.counters.windows_merged
        proxy.delay_s = proxy.piece_bytes = 0
        await load.publisher.wait_for_complete()
        await load.finish()
        written = (await node.execute("INFO", "commandstats"))["cmdstat_xadd"]["calls"]
        audit = await load.audit()

        assert merged > 0
        assert audit.missing <= load.publisher.unpublished
        assert audit.repeated == 0
        assert audit.entries == written == load.publisher.counters.published


async def test_a_read_only_node_is_reported_and_the_slot_map_refreshed(
    redis_binary: Path, tmp_path: Path
) -> None:
    """READONLY in place of every acknowledgement. The owner of a slot never sends it, so the proxy
    does.
    """
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, _),
        publisher_under_load([proxy.address]) as load,
    ):
        proxy.refusal = b"-READONLY You can't write against a read only replica.\r\n"
        await load.publisher.wait_for_unpublished(5)
        problem = await problem_of(load.publisher)
        proxy.refusal = b""
        await load.publisher.wait_for_complete()
        audit = await load.audit()

        assert proxy.refused > 0
        assert "READONLY" in problem
        assert audit.missing <= load.publisher.unpublished
        assert audit.repeated == 0


async def test_a_late_reply_still_counts(redis_binary: Path, tmp_path: Path) -> None:
    """A server hangs for longer than a call, but not for longer than the reply timeout. Quotes that
    the caller publishes again meanwhile are already on their stream, and are not written twice.
    """
    instruments = fresh_instruments(100)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as redis,
        redis_store(redis.addresses, "official") as reading,
        connect_cluster(redis.addresses) as client,
        NodeQuotePublisher(
            client,
            maxlen=MAXLEN,
            window=EVERY_UPDATE,
            clock=SystemClock(),
            draw=lambda: 0.5,
            timeout_s=0.2,
            reply_timeout_s=20.0,
        ) as publisher,
    ):
        (node,) = redis.nodes
        assert await problem_of(publisher) == ""
        node.pause()
        late = await publisher.publish([make_quote(each) for each in instruments])
        again = await publisher.publish(late.unpublished)
        node.resume()
        await publish_until_acknowledged(publisher, again.unpublished)

        assert late.unpublished == again.unpublished
        assert len(late.unpublished) == len(instruments)
        assert publisher.counters.published == len(instruments)
        for quote in late.unpublished:
            assert await stored_bids(reading.reader, quote.instrument) == [quote.bid]
