"""Two instances with one share of the instruments: one publishes, the other takes over.

Entry ids keep the streams right also while both believe that they publish.
"""

from pathlib import Path
from uuid import uuid4

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.keys import publisher_lease_key
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from tests.contract.publisher_instances import (
    SharedMarket,
    running_instance,
    written_ids,
)
from tests.contract.quote_stores import fresh_instruments
from tests.contract.redis_cluster import PARTIAL_COVERAGE, Addresses, key_slot, replicated
from tests.contract.test_quote_publisher_faults import served_by

WINDOWS = 20


async def test_two_instances_that_both_publish_write_each_window_once(
    redis_cluster: Addresses,
) -> None:
    """Each holds a lease of its own: their shares overlap, which no lease can see. Both say so."""
    market = SharedMarket(fresh_instruments(10))
    prefix = uuid4().hex
    async with (
        connect_cluster(redis_cluster) as client,
        running_instance(redis_cluster, market, "one", f"{prefix}-1") as one,
        running_instance(redis_cluster, market, "other", f"{prefix}-2") as other,
    ):
        for each in (one, other):
            await each.until(publishing=True)
        async with market.open():
            await market.wait_for_windows(WINDOWS)
        found = await written_ids(RedisQuoteReader(client), market.instruments)

        assert one.lease.publishing
        assert other.lease.publishing
        assert min(map(len, found.values())) >= WINDOWS
        assert one.admission.ids.repeated + other.admission.ids.repeated >= WINDOWS
        assert "stream.id_ahead" in {kind for kind, _ in one.events + other.events}
        sentences = one.admission.report().sentence + other.admission.report().sentence
        assert "another process writes" in sentences


async def test_streams_stay_right_across_a_failover_that_loses_the_lease(
    redis_binary: Path, tmp_path: Path
) -> None:
    """The master with the lease dies: the holder goes on, the standby waits. The promoted replica
    then names another holder: for a moment both believe to hold the lease.
    """
    market = SharedMarket(fresh_instruments(30))
    names = (f"{number}" for number in range(1000))
    name = next(each for each in names if key_slot(publisher_lease_key(each)) < 5000)
    healthy = set(market.instruments) - {*served_by(0, market.instruments)}
    async with (
        EmbeddedRedis(
            tmp_path, binary=redis_binary, masters=3, replicas=3, options=PARTIAL_COVERAGE
        ) as redis,
        connect_cluster(redis.addresses) as client,
        running_instance(redis.addresses, market, "one", name) as one,
        running_instance(redis.addresses, market, "other", name) as other,
        market.open(),
    ):
        instances = {"one": one, "other": other}
        await market.wait_for_windows(WINDOWS)
        await replicated(redis.nodes[0], redis.nodes[3])
        await redis.nodes[0].kill()
        await market.wait_for_windows(WINDOWS, healthy)
        await market.wait_for_windows(WINDOWS)
        role = (await redis.nodes[3].execute("INFO"))["role"]

        key = publisher_lease_key(name)
        holder = await client.execute_command("HGET", key, "owner")
        loser, winner = instances.pop(holder), instances.popitem()[1]
        await loser.until(publishing=True)
        await winner.until(publishing=False)
        believed = loser.lease.publishing
        await client.execute_command("HSET", key, "owner", winner.owner)
        await winner.until(publishing=True)
        await loser.until(publishing=False)
        await market.wait_for_windows(WINDOWS)
        found = await written_ids(RedisQuoteReader(client), market.instruments)

    assert role == "master"
    assert believed
    assert [kind for kind, _ in loser.events][-1] == "publisher.stopped"
    assert min(map(len, found.values())) >= 2 * WINDOWS
