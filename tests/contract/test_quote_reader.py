"""What every `QuoteReader` does, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
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


async def test_every_instrument_with_a_stream_is_named_in_order(store: QuoteStore) -> None:
    """Streams on all masters, of both venues, more than one page of a scan."""
    expected = [*fresh_instruments(1200), *fresh_instruments(300, Venue.PERP)]
    await store.publisher.publish([make_quote(instrument) for instrument in expected])

    found = await store.reader.instruments()

    assert list(found) == sorted(set(found))
    assert set(expected) <= set(found)


async def test_newest_answers_in_the_order_asked_and_leaves_out_the_unknown(
    store: QuoteStore,
) -> None:
    """The last entry of each stream; a stream that is not there is no error."""
    first, second, unknown = fresh_instruments(3)
    await store.publisher.publish([make_quote(first), make_quote(second), make_quote(first)])

    newest = await store.reader.newest([second, unknown, first])

    assert [entry.instrument for entry in newest] == [second, first]
    assert newest[1] == (await store.reader.history(first, 10))[-1]


async def test_newest_of_nothing_is_nothing(store: QuoteStore) -> None:
    """No instrument asked, nothing read."""
    assert await store.reader.newest([]) == ()


async def test_newest_of_many_reads_them_all(store: QuoteStore) -> None:
    """More streams than one round trip holds, over every slot."""
    instruments = fresh_instruments(1100)
    await store.publisher.publish([make_quote(instrument) for instrument in instruments])

    assert [e.instrument for e in await store.reader.newest(instruments)] == instruments


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
    """Not an error."""
    (instrument,) = fresh_instruments(1)

    assert await store.reader.history(instrument, 5) == ()


async def test_a_store_that_is_gone_is_an_error_of_the_domain(breakable: QuoteStore) -> None:
    """Each read raises `PublisherUnavailableError`, and works again once the store is back."""
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


async def test_keys_of_others_are_not_taken_for_instruments(redis_cluster: Addresses) -> None:
    """A stream with a name of its own, and a key that is no stream, beside ours."""
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
