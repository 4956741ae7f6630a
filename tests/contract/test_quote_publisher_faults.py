"""Every Redis publisher while real servers die, hang, migrate slots and restart.

Each test has its own small cluster and proves that its fault fired.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.redis.keys import SLOT_COUNT, quote_stream
from chimera_s1.domain.identifiers import InstrumentId
from tests.contract.publisher_load import error_count
from tests.contract.quote_stores import (
    REDIS_PUBLISHERS,
    fresh_instruments,
    make_quote,
    problem_of,
    publish_until_acknowledged,
    redis_store,
    stored_bids,
)
from tests.contract.redis_cluster import (
    PARTIAL_COVERAGE,
    Addresses,
    hand_over,
    key_slot,
    move_keys,
    replicated,
)
from tests.contract.tcp_proxy import redis_behind_proxy
from tests.time_limits import TIMEOUT_S

pytestmark = pytest.mark.parametrize("publisher", REDIS_PUBLISHERS)


def slot_of(instrument: InstrumentId) -> int:
    return key_slot(quote_stream(instrument))


def served_by(third: int, instruments: Sequence[InstrumentId]) -> list[InstrumentId]:
    """Those whose stream is in the given third (0, 1 or 2) of the slots."""
    slots = range(SLOT_COUNT * third // 3, SLOT_COUNT * (third + 1) // 3)
    return [i for i in instruments if slot_of(i) in slots]


async def test_late_replies_of_a_hanging_server_are_never_matched_to_another_request(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """The server hangs during a batch, for longer than the publisher's timeout. After it resumes,
    the late replies are not matched to a later batch: every entry is a published quote, on its own
    stream, in order, and every acknowledged one is there.
    """
    instruments = fresh_instruments(40)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        redis_store(embedded.addresses, publisher, timeout_s=0.8) as store,
    ):
        (node,) = embedded.nodes
        offered: dict[InstrumentId, list[float]] = {i: [] for i in instruments}
        acknowledged: set[float] = set()
        for pause in (False, True, True, False, False):
            if pause:
                node.pause()
            batch = [make_quote(i) for i in instruments]
            for quote in batch:
                offered[quote.instrument].append(quote.bid)
            with anyio.fail_after(TIMEOUT_S):
                report = await store.publisher.publish(batch)
            assert bool(report.unpublished) is pause
            assert report.published == len(batch) - len(report.unpublished)
            acknowledged |= {q.bid for q in batch} - {q.bid for q in report.unpublished}
            node.resume()

        assert await problem_of(store.publisher) == ""
        assert store.publisher.counters.failures >= 2
        assert store.publisher.counters.published == len(acknowledged) == 3 * len(instruments)
        for instrument in instruments:
            found = await stored_bids(store.reader, instrument)
            assert acknowledged & set(offered[instrument]) <= set(found)
            assert found == [bid for bid in offered[instrument] if bid in found]
            for entry in await store.reader.history(instrument, 10):
                fields = dict(entry.fields)
                assert fields["symbol"] == instrument.symbol
                assert float(fields["ask1"]) == float(fields["bid1"]) + 0.25


async def test_a_hanging_node_affects_only_its_own_streams(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """One of three masters hangs before a batch of many round trips: the streams of the other two
    are all published within that call.
    """
    instruments = fresh_instruments(3000)
    hanging = set(served_by(1, instruments))
    assert 0 < len(hanging) < 3000
    async with (
        EmbeddedRedis(
            tmp_path, binary=redis_binary, masters=3, options=PARTIAL_COVERAGE
        ) as embedded,
        redis_store(embedded.addresses, publisher, timeout_s=1.5) as store,
    ):
        assert await problem_of(store.publisher) == ""
        embedded.nodes[1].pause()
        batch = [make_quote(i) for i in instruments]
        with anyio.fail_after(TIMEOUT_S):
            report = await store.publisher.publish(batch)
        embedded.nodes[1].resume()

    assert {quote.instrument for quote in report.unpublished} == hanging
    assert report.published == len(batch) - len(hanging)
    assert report.cause


async def test_a_batch_cancelled_at_any_point_leaves_connections_usable(
    publisher: str, redis_cluster: Addresses
) -> None:
    """The timeout ends at many points of a batch; later batches are complete and in order."""
    instruments = fresh_instruments(500)
    order: dict[InstrumentId, list[float]] = {i: [] for i in instruments}
    incomplete = 0
    async with redis_store(redis_cluster, publisher) as reading:
        for attempt in range(24):
            timeout_s = 0.0 if attempt == 0 else 0.0005 * attempt
            async with redis_store(redis_cluster, publisher, timeout_s=timeout_s) as store:
                batch = [make_quote(i) for i in instruments]
                report = await store.publisher.publish(batch)
                incomplete += bool(report.unpublished)
                assert report.published == len(batch) - len(report.unpublished)
                batch_again = [make_quote(i) for i in instruments]
                report_again = await store.publisher.publish(batch_again)
                done = {q.bid for q in (*batch, *batch_again)}
                done -= {q.bid for q in (*report.unpublished, *report_again.unpublished)}
                for quote in (*batch, *batch_again):
                    if quote.bid in done:
                        order[quote.instrument].append(quote.bid)
        for instrument in instruments[::10]:
            found = await stored_bids(reading.reader, instrument)
            assert found == sorted(found)
            assert set(order[instrument]) <= set(found)

    assert incomplete > 0


async def test_nothing_acknowledged_is_lost_when_a_master_is_killed(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """SIGKILL for one of three masters. The streams of the other two continue, its replica takes
    over, and every acknowledged quote is on its stream, in order.
    """
    instruments = fresh_instruments(60)
    unaffected = set(instruments) - set(served_by(0, instruments))
    assert 0 < len(unaffected) < 60
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, replicas=3) as embedded,
        redis_store(embedded.addresses, publisher) as store,
    ):
        acknowledged = [make_quote(i) for i in instruments]
        assert await publish_until_acknowledged(store.publisher, acknowledged) == 0
        # Replication is asynchronous: a dying server can lose its last acknowledged writes. That is
        # Redis, and not under test.
        await replicated(embedded.nodes[0], embedded.nodes[3])
        await embedded.nodes[0].kill()

        during = [make_quote(i) for i in instruments]
        report = await store.publisher.publish(during)
        assert {q.instrument for q in report.unpublished} <= set(instruments) - unaffected
        assert report.published >= len(unaffected)
        failures = await publish_until_acknowledged(store.publisher, report.unpublished)
        after = [make_quote(i) for i in instruments]
        # Until all nodes know the new master, they may reply CLUSTERDOWN.
        await publish_until_acknowledged(store.publisher, after)

        assert failures + bool(report.unpublished) > 0
        assert str((await embedded.nodes[3].execute("INFO"))["role"]) == "master"
        for quotes in zip(acknowledged, during, after, strict=True):
            found = await stored_bids(store.reader, quotes[0].instrument)
            assert list(dict.fromkeys(found)) == [quote.bid for quote in quotes]
            assert found == sorted(found)


async def test_a_slot_migration_is_followed_and_counted(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """During the migration the server replies ASK, afterwards MOVED. The new owner is a master
    without slots, as when a cluster grows. Nothing is lost, repeated or reordered.

    The new owner was never a replica: redis-py takes a MOVED to a known replica for a failover and
    moves all slots of the shard, so that there would be only one MOVED to count.
    """
    instruments = fresh_instruments(60)
    async with (
        EmbeddedRedis(tmp_path / "cluster", binary=redis_binary, masters=3) as embedded,
        EmbeddedRedis(tmp_path / "newcomer", binary=redis_binary) as other,
        redis_store(embedded.addresses, publisher) as store,
    ):
        source, newcomer = embedded.nodes[0], other.nodes[0]
        await become_empty_master(newcomer, source)
        moving = served_by(0, instruments)[:5]
        assert len(moving) == 5
        rounds = [[make_quote(i) for i in islice(cycle(instruments), 120)] for _ in range(3)]

        assert await publish_until_acknowledged(store.publisher, rounds[0]) == 0
        for instrument in moving:
            await move_keys(source, newcomer, slot_of(instrument))
        assert await publish_until_acknowledged(store.publisher, rounds[1]) == 0
        counters = store.publisher.counters
        assert counters.ask_replies >= len(moving)
        assert counters.moved_replies == 0
        for instrument in moving:
            await hand_over(source, newcomer, slot_of(instrument))
        assert await publish_until_acknowledged(store.publisher, rounds[2]) == 0

        assert counters.moved_replies >= len(moving)
        assert counters.failures == 0
        for instrument in instruments:
            expected = [q.bid for quotes in rounds for q in quotes if q.instrument == instrument]
            assert await stored_bids(store.reader, instrument) == expected
        for instrument in moving:
            keys = await newcomer.execute("CLUSTER", "GETKEYSINSLOT", slot_of(instrument), 10)
            assert quote_stream(instrument) in keys


async def test_moved_is_remembered(publisher: str, redis_binary: Path, tmp_path: Path) -> None:
    """A slot has a new owner: the first quote is redirected, no later one is."""
    instrument = served_by(0, fresh_instruments(50))[0]
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded,
        redis_store(embedded.addresses, publisher) as store,
    ):
        source, target, _ = embedded.nodes
        assert await publish_until_acknowledged(store.publisher, [make_quote(instrument)]) == 0
        await move_keys(source, target, slot_of(instrument))
        await hand_over(source, target, slot_of(instrument))
        assert await publish_until_acknowledged(store.publisher, [make_quote(instrument)]) == 0
        first = await error_count(embedded.nodes, "MOVED")
        for _ in range(4):
            assert await publish_until_acknowledged(store.publisher, [make_quote(instrument)]) == 0

        assert store.publisher.counters.moved_replies == 1
        assert await error_count(embedded.nodes, "MOVED") == first > 0
        assert len(await stored_bids(store.reader, instrument)) == 6


@pytest.mark.parametrize("kind", ["MOVED", "ASK"])
async def test_a_redirected_quote_whose_successor_was_written_is_dropped(
    kind: str, publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """The slot comes back between two quotes of one stream: the first is redirected, the second is
    written. If the redirect were followed, the first would be written after the second. No server
    does this on demand, so the proxy sends the redirect.
    """
    instrument = fresh_instruments(1)[0]
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, _),
        redis_store([proxy.address], publisher) as store,
    ):
        before, older, newer = (make_quote(instrument) for _ in range(3))
        assert await publish_until_acknowledged(store.publisher, [before]) == 0
        proxy.refusals = [f"-{kind} {slot_of(instrument)} {proxy.address}\r\n".encode()]
        report = await store.publisher.publish([older, newer])

        assert proxy.refused == 1
        assert (report.published, report.unpublished) == (1, ())
        assert await stored_bids(store.reader, instrument) == [before.bid, newer.bid]


async def test_of_two_quotes_in_flight_only_the_newer_is_reported_unpublished(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """Two quotes of a stream have no reply when the call ends: both may be written, and the older
    one must not be written again after the newer one.
    """
    instrument = fresh_instruments(1)[0]
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        redis_store(embedded.addresses, publisher, timeout_s=0.8) as store,
    ):
        (node,) = embedded.nodes
        assert await publish_until_acknowledged(store.publisher, [make_quote(instrument)]) == 0
        older, newer = make_quote(instrument), make_quote(instrument)
        node.pause()
        report = await store.publisher.publish([older, newer])
        node.resume()
        await publish_until_acknowledged(store.publisher, report.unpublished)
        found = await stored_bids(store.reader, instrument)

        assert report.unpublished == (newer,)
        assert found == sorted(found)
        assert found[-1] == newer.bid


async def test_publishing_resumes_after_the_cluster_was_stopped(
    publisher: str, redis_binary: Path, tmp_path: Path
) -> None:
    """All nodes stop and restart, empty, on the same addresses."""
    instruments = fresh_instruments(30)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded,
        redis_store(embedded.addresses, publisher) as store,
    ):
        assert (
            await publish_until_acknowledged(store.publisher, [make_quote(i) for i in instruments])
            == 0
        )
        for node in embedded.nodes:
            await node.stop()

        lost = [make_quote(i) for i in instruments]
        report = await store.publisher.publish(lost)
        assert report.unpublished == tuple(lost)
        assert report.cause
        assert await problem_of(store.publisher)

        for node in embedded.nodes:
            await node.start()
        await wait_until_healthy(embedded.nodes, replicas=0)
        await publish_until_acknowledged(store.publisher, report.unpublished)

        assert await problem_of(store.publisher) == ""
        for quote in lost:
            assert (await stored_bids(store.reader, quote.instrument))[-1] == quote.bid


async def become_empty_master(node: ServerProcess, member: ServerProcess) -> None:
    """*node* leaves its cluster and joins that of *member*, as a master without slots."""
    await node.execute("CLUSTER", "RESET", "HARD")
    await node.execute("CLUSTER", "MEET", member.address.host, member.address.port)
    await wait_until_healthy([node], replicas=0)
