"""The contract of `QuotePublisher`, over memory and over real Redis Clusters."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote, book_defect
from tests.contract.quote_stores import (
    MAXLEN,
    REDIS_PUBLISHERS,
    QuoteStore,
    fresh_instruments,
    make_quote,
    memory_store,
    problem_of,
    redis_store,
    stoppable_redis_store,
    stored_bids,
)
from tests.contract.redis_cluster import Addresses, key_slot
from tests.time_limits import TIMEOUT_S

PLAIN_DECIMAL = re.compile(r"\d+(\.\d*[1-9])?")

KINDS = [
    "memory",
    *(f"{topology}-{name}" for topology in ("single_node", "cluster") for name in REDIS_PUBLISHERS),
]


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[QuoteStore]:
    topology, _, publisher = request.param.partition("-")
    addresses = redis_cluster if topology == "cluster" else redis_single_node
    made = memory_store() if topology == "memory" else redis_store(addresses, publisher)
    async with made as store:
        yield store


@pytest.fixture(params=["memory", *REDIS_PUBLISHERS])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[QuoteStore]:
    memory = request.param == "memory"
    made = (
        memory_store() if memory else stoppable_redis_store(redis_binary, tmp_path, request.param)
    )
    async with made as store:
        yield store


async def test_an_entry_holds_the_fields_in_their_order(store: QuoteStore) -> None:
    """Other services parse these names; `top1_qty` is the smaller side; numbers have no padding."""
    instrument = fresh_instruments(1, Venue.PERP)[0]
    quote = Quote(
        instrument=instrument,
        ts=1_772_514_460_893,
        bid=1.5,
        bid_qty=31.0,
        ask=2.5,
        ask_qty=0.00001,
        source="binance.perp.depth5",
        update_id=1,
        received_ms=1_772_514_460_900,
    )

    report = await store.publisher.publish([quote])

    (entry,) = await store.reader.history(instrument, 10)
    assert report.published == 1
    assert not report.unpublished
    assert not report.cause
    assert entry.instrument == instrument
    assert entry.fields == (
        ("ts", "1772514460893"),
        ("symbol", instrument.symbol),
        ("bid1", "1.5"),
        ("ask1", "2.5"),
        ("mid", "2"),
        ("spread_bps", "5000"),
        ("top1_qty", "0.00001"),
        ("top1_usdt", "0.00002"),
        ("src", "binance.perp.depth5"),
    )


prices = st.floats(min_value=1e-12, max_value=1e12)


@given(books=st.lists(st.tuples(prices, prices, prices, prices), min_size=1, max_size=20))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_numbers_read_back_as_the_same_float64(
    store: QuoteStore, books: list[tuple[float, float, float, float]]
) -> None:
    """Each number is a plain decimal, the shortest one of its float64."""
    sorted_books = [(min(a, b), p, max(a, b), q) for a, b, p, q in books]
    sides = [book for book in sorted_books if book_defect(*book) is None]
    instruments = fresh_instruments(len(sides))
    quotes = [
        Quote(instrument, 1, bid, bid_qty, ask, ask_qty, "test", 1, 1)
        for instrument, (bid, bid_qty, ask, ask_qty) in zip(instruments, sides, strict=True)
    ]

    await store.publisher.publish(quotes)

    entries = await store.reader.newest(instruments)
    assert len(entries) == len(quotes)
    for entry, quote in zip(entries, quotes, strict=True):
        names = ("bid1", "ask1", "mid", "spread_bps", "top1_qty", "top1_usdt")
        texts = [dict(entry.fields)[name] for name in names]
        values = [quote.bid, quote.ask, quote.mid, quote.spread_bps, quote.top1_qty]
        assert [float(text) for text in texts] == [*values, quote.top1_usdt]
        assert all(PLAIN_DECIMAL.fullmatch(text) for text in texts)
        digits = [len(text.replace(".", "").strip("0")) for text in texts]
        assert all(number <= 17 for number in digits)


async def test_entries_of_a_stream_keep_their_order(store: QuoteStore) -> None:
    """Interleaved updates of many instruments, more than one chunk."""
    instruments = fresh_instruments(20)
    quotes = [make_quote(instrument) for _ in range(60) for instrument in instruments]

    report = await store.publisher.publish(quotes)

    assert report.published == len(quotes)
    for instrument in instruments:
        expected = [quote.bid for quote in quotes if quote.instrument == instrument]
        assert await stored_bids(store.reader, instrument) == expected


async def test_a_stream_is_bounded_and_keeps_the_newest(store: QuoteStore) -> None:
    """Trimming is approximate: Redis removes whole blocks of 100 entries, never a newer one."""
    instrument = fresh_instruments(1)[0]
    quotes = [make_quote(instrument) for _ in range(MAXLEN * 4)]

    await store.publisher.publish(quotes)

    kept = await stored_bids(store.reader, instrument)
    assert MAXLEN <= len(kept) <= MAXLEN + 100
    assert kept == [quote.bid for quote in quotes][-len(kept) :]


async def test_a_batch_may_touch_every_part_of_the_cluster(store: QuoteStore) -> None:
    """Streams in every third of the slot range."""
    instruments = [*fresh_instruments(300), *fresh_instruments(300, Venue.PERP)]
    thirds = {key_slot(f"mkt:events:{i.venue}:{i.symbol}") * 3 // 16384 for i in instruments}
    assert thirds == {0, 1, 2}

    report = await store.publisher.publish([make_quote(instrument) for instrument in instruments])

    assert report.published == len(instruments)
    assert [entry.instrument for entry in await store.reader.newest(instruments)] == instruments


async def test_an_empty_batch_is_not_counted(store: QuoteStore) -> None:
    report = await store.publisher.publish([])

    assert report.published == 0
    assert not report.unpublished
    assert not report.cause
    assert store.publisher.counters.batches == 0


async def test_concurrent_calls_are_written_one_after_another(store: QuoteStore) -> None:
    instruments = fresh_instruments(50)

    async def publish_once() -> None:
        report = await store.publisher.publish([make_quote(i) for i in instruments])
        assert report.published == len(instruments)

    async with anyio.create_task_group() as callers:
        for _ in range(5):
            callers.start_soon(publish_once)

    assert [len(await stored_bids(store.reader, i)) for i in instruments] == [5] * 50
    counters = store.publisher.counters
    assert (counters.published, counters.batches, counters.failures) == (250, 5, 0)


async def test_ping_of_a_writable_store_is_empty(store: QuoteStore) -> None:
    assert await problem_of(store.publisher) == ""


async def test_an_unavailable_store_is_reported_and_used_again_when_back(
    breakable: QuoteStore,
) -> None:
    """No exception: all quotes are returned with a cause, and are published once it is back."""
    assert breakable.stop is not None
    assert breakable.start is not None
    instruments = fresh_instruments(3)
    await breakable.publisher.publish([make_quote(instrument) for instrument in instruments])
    quotes = [make_quote(instrument) for instrument in instruments]
    await breakable.stop()

    with anyio.fail_after(TIMEOUT_S):
        report = await breakable.publisher.publish(quotes)
        problem = await problem_of(breakable.publisher)

    assert report.published == 0
    assert report.unpublished == tuple(quotes)
    assert report.cause
    assert problem
    assert breakable.publisher.counters.failures > 0

    await breakable.start()

    assert await problem_of(breakable.publisher) == ""
    again = await breakable.publisher.publish(report.unpublished)
    assert (again.published, again.unpublished) == (3, ())
    assert [(await stored_bids(breakable.reader, i))[-1] for i in instruments] == [
        q.bid for q in quotes
    ]
