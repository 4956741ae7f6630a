"""The contract of `QuoteReader`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from tests.contract.quote_stores import (
    QuoteStore,
    fresh_instruments,
    make_quote,
    memory_store,
    redis_store,
    stoppable_redis_store,
)
from tests.contract.redis_cluster import Addresses
from tests.contract.test_quote_publisher_faults import served_by


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def store(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[QuoteStore]:
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    memory = request.param == "memory"
    async with memory_store() if memory else redis_store(addresses, "official") as store:
        yield store


@pytest.fixture(params=["memory", "redis"])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[QuoteStore]:
    memory = request.param == "memory"
    async with (
        memory_store() if memory else stoppable_redis_store(redis_binary, tmp_path, "official")
    ) as store:
        yield store


async def test_instruments_lists_every_stream_in_order(store: QuoteStore) -> None:
    """Streams on all masters, of both venues, more than one page of a scan."""
    expected = [*fresh_instruments(1200), *fresh_instruments(300, Venue.PERP)]
    await store.publisher.publish([make_quote(instrument) for instrument in expected])

    found = await store.reader.instruments()

    assert list(found) == sorted(set(found))
    assert set(expected) <= set(found)


async def test_newest_keeps_the_requested_order_and_omits_unknown_instruments(
    store: QuoteStore,
) -> None:
    """The last entry of each stream; a missing stream is no error."""
    first, second, unknown = fresh_instruments(3)
    await store.publisher.publish([make_quote(first), make_quote(second), make_quote(first)])

    newest = await store.reader.newest([second, unknown, first])

    assert [entry.instrument for entry in newest] == [second, first]
    assert newest[1] == (await store.reader.history(first, 10))[-1]


async def test_newest_of_no_instruments_is_empty(store: QuoteStore) -> None:
    assert await store.reader.newest([]) == ()


async def test_newest_of_many_reads_them_all(store: QuoteStore) -> None:
    """More streams than one round trip reads."""
    instruments = fresh_instruments(1100)
    await store.publisher.publish([make_quote(instrument) for instrument in instruments])

    assert [e.instrument for e in await store.reader.newest(instruments)] == instruments


async def test_last_entries_name_empty_streams(store: QuoteStore) -> None:
    first, second, empty = fresh_instruments(3)
    await store.publisher.publish([make_quote(first), make_quote(second), make_quote(first)])

    found = await store.reader.last_entries([first, second, empty])

    assert found.keys() == {first, second, empty}
    assert found[first] == (await store.reader.history(first, 10))[-1]
    assert found[empty] is None


async def test_last_entries_of_an_unavailable_store_are_left_out(breakable: QuoteStore) -> None:
    """No exception."""
    assert breakable.stop is not None
    await breakable.stop()

    assert await breakable.reader.last_entries(fresh_instruments(2)) == {}


async def test_last_entries_of_other_nodes_do_not_wait_for_a_hanging_one(
    redis_binary: Path, tmp_path: Path
) -> None:
    instruments = fresh_instruments(60)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as redis,
        connect_cluster(redis.addresses) as client,
    ):
        reader = RedisQuoteReader(client, timeout_s=0.5)
        assert len(await reader.last_entries(instruments)) == 60
        redis.nodes[1].pause()
        found = await reader.last_entries(instruments)
        redis.nodes[1].resume()

    assert set(instruments) - found.keys() == set(served_by(1, instruments))


@pytest.mark.parametrize(("count", "expected"), [(2, 2), (5, 5), (100, 5), (0, 0), (-1, 0)])
async def test_history_is_the_end_of_a_stream_oldest_first(
    store: QuoteStore, count: int, expected: int
) -> None:
    """At most *count* entries, ids growing, the newest last."""
    (instrument,) = fresh_instruments(1)
    quotes = [make_quote(instrument) for _ in range(5)]
    await store.publisher.publish(quotes)

    history = await store.reader.history(instrument, count)

    bids = [float(dict(entry.fields)["bid1"]) for entry in history]
    ids = [tuple(map(int, entry.entry_id.split("-"))) for entry in history]
    assert bids == [quote.bid for quote in quotes][5 - expected :]
    assert ids == sorted(set(ids))


async def test_history_of_an_unknown_instrument_is_empty(store: QuoteStore) -> None:
    (instrument,) = fresh_instruments(1)

    assert await store.reader.history(instrument, 5) == ()


async def test_reading_resumes_when_an_unavailable_store_is_back(
    breakable: QuoteStore,
) -> None:
    assert breakable.stop is not None
    assert breakable.start is not None
    (instrument,) = fresh_instruments(1)
    await breakable.publisher.publish([make_quote(instrument)])
    await breakable.stop()

    with pytest.raises(PublisherUnavailableError):
        await breakable.reader.instruments()
    with pytest.raises(PublisherUnavailableError):
        await breakable.reader.newest([instrument])
    with pytest.raises(PublisherUnavailableError):
        await breakable.reader.history(instrument, 1)

    await breakable.start()
    await breakable.publisher.publish([make_quote(instrument)])
    assert instrument in await breakable.reader.instruments()


async def test_foreign_keys_are_not_listed_as_instruments(redis_cluster: Addresses) -> None:
    """Streams with other names, and a key that is not a stream."""
    async with (
        connect_cluster(redis_cluster) as client,
        redis_store(redis_cluster, "official") as store,
    ):
        await client.execute_command("XADD", "mkt:events:spot:a b", "*", "x", "1")
        await client.execute_command("XADD", "mkt:events:spot:lower", "*", "x", "1")
        await client.execute_command("SET", "mkt:events:spot:NOSTREAM", "1")
        (instrument,) = fresh_instruments(1)
        await store.publisher.publish([make_quote(instrument)])

        found = {str(name) for name in await store.reader.instruments()}

    assert str(instrument) in found
    assert not found & {"spot/a b", "spot/A B", "spot/lower", "spot/LOWER", "spot/NOSTREAM"}
