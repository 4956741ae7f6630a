"""The entry ids of `QuotePublisher`: what is repeated or older is refused, not written."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import Struct, structs

from chimera_s1.domain.market.conflation import EVERY_UPDATE, WindowMs
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from chimera_s1.domain.ports.quote_reader import QuoteReader
from tests.contract.quote_stores import (
    MAXLEN,
    REDIS_PUBLISHERS,
    fresh_instruments,
    make_quote,
    problem_of,
    publish_until_acknowledged,
    redis_store,
    stored_bids,
)
from tests.contract.redis_cluster import Addresses
from tests.contract.tcp_proxy import TcpProxy, redis_behind_proxy
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteReader, MemoryQuoteStreams
from tests.time_limits import TIMEOUT_S

SECOND = WindowMs(1000)
NOON = 1_772_514_000_000

KINDS = ["memory", *REDIS_PUBLISHERS]


class Rivals(Struct):
    """Two publishers of the same streams."""

    one: QuotePublisher
    other: QuotePublisher
    reader: QuoteReader


@asynccontextmanager
async def rival_publishers(
    kind: str, addresses: Addresses, window: WindowMs
) -> AsyncIterator[Rivals]:
    async with AsyncExitStack() as stack:
        if kind == "memory":
            streams = MemoryQuoteStreams(maxlen=MAXLEN)
            one, other = (MemoryQuotePublisher(streams, window) for _ in range(2))
            yield Rivals(one, other, MemoryQuoteReader(streams))
            return
        stores = [
            await stack.enter_async_context(redis_store(addresses, kind, window=window))
            for _ in range(2)
        ]
        yield Rivals(stores[0].publisher, stores[1].publisher, stores[0].reader)


@pytest.fixture(params=KINDS)
async def rivals(request: pytest.FixtureRequest, redis_cluster: Addresses) -> AsyncIterator[Rivals]:
    """With windows of a second."""
    async with rival_publishers(request.param, redis_cluster, SECOND) as rivals:
        yield rivals


class Losing:
    """A publisher whose next acknowledgement is lost on its way back."""

    def __init__(
        self, publisher: QuotePublisher, reader: QuoteReader, fault: TcpProxy | MemoryQuoteStreams
    ) -> None:
        self.publisher = publisher
        self.reader = reader
        self._fault = fault

    async def publish(self, quotes: list[Quote]) -> None:
        """Once with a lost acknowledgement, then until acknowledged."""
        await problem_of(self.publisher)
        fault = self._fault
        if isinstance(fault, TcpProxy):
            fault.lose_reply = True
            await publish_until_acknowledged(self.publisher, quotes)
            assert fault.lost == 1
        else:
            fault.acknowledgements_lost = True
            lost = await self.publisher.publish(quotes)
            assert lost.unpublished == tuple(quotes)
            fault.acknowledgements_lost = False
            await publish_until_acknowledged(self.publisher, quotes)


@pytest.fixture(params=KINDS)
async def losing(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[Losing]:
    if request.param == "memory":
        streams = MemoryQuoteStreams(maxlen=MAXLEN)
        publisher = MemoryQuotePublisher(streams, EVERY_UPDATE)
        yield Losing(publisher, MemoryQuoteReader(streams), streams)
        return
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, node),
        redis_store([proxy.address], request.param) as store,
        redis_store([node.address], "official") as direct,
    ):
        yield Losing(store.publisher, direct.reader, proxy)


def in_window(quote: Quote, number: int, source: str | None = None) -> Quote:
    """*quote* as received in the middle of a window, counted from noon."""
    received_ms = NOON + number * 1000 - 500
    return structs.replace(quote, received_ms=received_ms, source=source or quote.source)


async def ids(reader: QuoteReader, quote: Quote) -> list[str]:
    return [entry.entry_id for entry in await reader.history(quote.instrument, MAXLEN)]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_id_is_the_windows_end_and_the_channels_number(
    kind: str, redis_cluster: Addresses
) -> None:
    quote = in_window(make_quote(fresh_instruments(1)[0]), 1)
    depth = in_window(quote, 1, "binance.spot.depth5")
    async with rival_publishers(kind, redis_cluster, SECOND) as rivals:
        report = await rivals.one.publish([quote, depth, in_window(quote, 2)])

        assert report.published == 3
        assert await ids(rivals.reader, quote) == [
            "1772514001000-0",
            "1772514001000-1",
            "1772514002000-0",
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_with_window_zero_an_id_is_the_receive_time_and_the_update_id(
    kind: str, redis_cluster: Addresses
) -> None:
    quote = structs.replace(make_quote(fresh_instruments(1)[0]), update_id=2**63 - 2)
    newer = structs.replace(quote, update_id=2**63 - 1)
    async with rival_publishers(kind, redis_cluster, EVERY_UPDATE) as rivals:
        assert (await rivals.one.publish([quote, newer])).published == 2

        assert await ids(rivals.reader, quote) == [
            f"{quote.received_ms}-9223372036854775806",
            f"{quote.received_ms}-9223372036854775807",
        ]


async def test_an_assigned_id_replaces_the_natural_one(rivals: Rivals) -> None:
    quote = structs.replace(make_quote(fresh_instruments(1)[0]), entry_id=EntryId(NOON, 7))

    assert (await rivals.one.publish([quote])).published == 1

    assert await ids(rivals.reader, quote) == ["1772514000000-7"]


async def test_what_another_publisher_wrote_is_neither_repeated_nor_followed_by_older(
    rivals: Rivals,
) -> None:
    """The refused quotes are named; they are neither acknowledged nor to be published again. The
    other quotes of the batch are written, and the store is not at fault.
    """
    written, free = (in_window(make_quote(each), 2) for each in fresh_instruments(2))
    assert (await rivals.other.publish([written])).published == 1
    older = in_window(make_quote(written.instrument), 1)
    same = in_window(make_quote(written.instrument), 2)

    report = await rivals.one.publish([older, same, free])

    assert (report.published, report.unpublished, report.cause) == (1, (), "")
    assert report.refused == (older, same)
    assert (rivals.one.counters.refused, rivals.one.counters.failures) == (2, 0)
    assert await problem_of(rivals.one) == ""
    assert await stored_bids(rivals.reader, written.instrument) == [written.bid]
    newer = in_window(make_quote(written.instrument), 3)
    assert (await rivals.one.publish([newer])).published == 1
    assert await stored_bids(rivals.reader, written.instrument) == [written.bid, newer.bid]


async def test_a_refused_quote_is_refused_again(rivals: Rivals) -> None:
    """It does not become *already there* by being sent twice."""
    instrument = fresh_instruments(1)[0]
    await rivals.other.publish([in_window(make_quote(instrument), 1)])
    quote = in_window(make_quote(instrument), 1)

    for _ in range(2):
        assert (await rivals.one.publish([quote])).refused == (quote,)
    assert rivals.one.counters.already_there == 0


async def test_two_publishers_that_both_believe_to_hold_the_lease_write_each_window_once(
    rivals: Rivals,
) -> None:
    instruments = fresh_instruments(40)
    windows = range(1, 11)

    async def publish_all(publisher: QuotePublisher) -> None:
        for window in windows:
            report = await publisher.publish(
                [in_window(make_quote(i), window) for i in instruments]
            )
            assert not report.unpublished

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish_all, rivals.one)
        tasks.start_soon(publish_all, rivals.other)

    counted = rivals.one.counters, rivals.other.counters
    assert sum(each.refused for each in counted) >= len(instruments) * len(windows)
    for instrument in instruments:
        written = [EntryId.parse(text) for text in await ids(rivals.reader, make_quote(instrument))]
        assert written == sorted(set(written))
        assert written[-1] == EntryId(NOON + 10_000, 0)
    entries = sum([len(await ids(rivals.reader, make_quote(i))) for i in instruments])
    assert entries == sum(each.published for each in counted) <= len(instruments) * len(windows)


async def test_a_lost_acknowledgement_duplicates_nothing(losing: Losing) -> None:
    """The batch was written, its reply is lost, and it is published again with the same ids."""
    quotes = [make_quote(each) for each in fresh_instruments(20)]

    with anyio.fail_after(TIMEOUT_S):
        await losing.publish(quotes)

    assert losing.publisher.counters.already_there == len(quotes)
    assert losing.publisher.counters.published == len(quotes)
    assert losing.publisher.counters.refused == 0
    for quote in quotes:
        assert await stored_bids(losing.reader, quote.instrument) == [quote.bid]
