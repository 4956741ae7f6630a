"""The node publisher with replies that are late or contradict each other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import poll_until
from chimera_s1.adapters.redis.publisher.node_quote_publisher import (
    UNAVAILABLE_WAIT_S,
    NodeQuotePublisher,
)
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from tests.contract.quote_stores import (
    MAXLEN,
    QuoteStore,
    fresh_instruments,
    make_quote,
    problem_of,
    publish_until_acknowledged,
    stored_bids,
)
from tests.contract.redis_cluster import PARTIAL_COVERAGE, hand_over, move_keys
from tests.contract.tcp_proxy import TcpProxy, redis_behind_proxy
from tests.contract.test_quote_publisher_faults import served_by, slot_of
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S


@asynccontextmanager
async def publisher_and_reader(
    addresses: Sequence[RedisAddress],
    *,
    timeout_s: float = 1.0,
    reply_timeout_s: float = 30.0,
    unavailable_wait_s: float = UNAVAILABLE_WAIT_S,
) -> AsyncIterator[QuoteStore]:
    """A publisher whose calls time out long before it closes a connection, and a reader."""
    async with (
        connect_cluster(addresses) as client,
        connect_cluster(addresses) as reading,
        NodeQuotePublisher(
            client,
            maxlen=MAXLEN,
            window=EVERY_UPDATE,
            clock=SystemClock(),
            draw=lambda: 0.5,
            timeout_s=timeout_s,
            reply_timeout_s=reply_timeout_s,
            unavailable_wait_s=unavailable_wait_s,
        ) as publisher,
    ):
        await wait_until_idle(publisher)
        yield QuoteStore(publisher, RedisQuoteReader(reading))


async def wait_until_idle(publisher: QuotePublisher) -> None:
    """Until every node is connected with nothing in flight."""
    with anyio.fail_after(TIMEOUT_S):
        while await problem_of(publisher):
            pass


def redirect_next(proxy: TcpProxy, text: str, times: int) -> None:
    """The next *times* XADD commands are redirected."""
    proxy.refusals = [f"-{text} {proxy.address}\r\n".encode()] * times


async def test_a_late_acknowledgement_is_remembered_until_the_next_call(
    redis_binary: Path, tmp_path: Path
) -> None:
    """The server replies between two calls. Quotes that the second call publishes again are already
    on their stream, and are not written twice.
    """
    instruments = fresh_instruments(20)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as redis,
        publisher_and_reader(redis.addresses, timeout_s=0.5) as store,
    ):
        (node,) = redis.nodes
        node.pause()
        late = await store.publisher.publish([make_quote(each) for each in instruments])
        node.resume()
        await wait_until_idle(store.publisher)
        again = await store.publisher.publish(late.unpublished)
        written = (await node.execute("INFO", "commandstats"))["cmdstat_xadd"]["calls"]

        assert len(late.unpublished) == len(instruments)
        assert (again.published, again.unpublished) == (len(instruments), ())
        assert written == store.publisher.counters.published == len(instruments)
        for quote in late.unpublished:
            assert await stored_bids(store.reader, quote.instrument) == [quote.bid]


async def test_a_late_redirect_does_not_affect_the_quotes_of_the_current_call(
    redis_binary: Path, tmp_path: Path
) -> None:
    """An older call is redirected while a newer one waits: the quotes at the same positions of the
    newer call are written once.
    """
    one, other = fresh_instruments(2)
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, _),
        publisher_and_reader([proxy.address]) as store,
    ):
        proxy.hold()
        late = await store.publisher.publish([make_quote(one), make_quote(other)])
        newer = [make_quote(other), make_quote(one)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish_until_acknowledged, store.publisher, newer)
            await settle()
            redirect_next(proxy, f"ASK {slot_of(one)}", 2)
            proxy.release()

        assert len(late.unpublished) == store.publisher.counters.ask_replies == proxy.refused == 2
        for quote in newer:
            assert await stored_bids(store.reader, quote.instrument) == [quote.bid]


async def test_a_quote_reported_unpublished_is_not_sent_after_a_late_redirect(
    redis_binary: Path, tmp_path: Path
) -> None:
    """The call has ended, and reported the quote as unpublished."""
    (instrument,) = fresh_instruments(1)
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, _),
        publisher_and_reader([proxy.address]) as store,
    ):
        proxy.hold()
        late = await store.publisher.publish([make_quote(instrument)])
        redirect_next(proxy, f"ASK {slot_of(instrument)}", 1)
        proxy.release()
        await wait_until_idle(store.publisher)
        newer = make_quote(instrument)
        await publish_until_acknowledged(store.publisher, [newer])

        assert len(late.unpublished) == store.publisher.counters.ask_replies == proxy.refused == 1
        assert await stored_bids(store.reader, instrument) == [newer.bid]


async def test_a_quote_is_held_back_while_an_earlier_one_is_in_flight_to_another_node(
    redis_binary: Path, tmp_path: Path
) -> None:
    """A slot moves while its old owner hangs with a quote of one of its streams in flight: the next
    quote waits for the reply to the first, even if the slot map has changed.
    """
    instrument, neighbour = served_by(0, fresh_instruments(50))[:2]
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, options=PARTIAL_COVERAGE) as redis,
        publisher_and_reader(redis.addresses) as store,
    ):
        source, target, _ = redis.nodes
        first = make_quote(instrument)
        assert await publish_until_acknowledged(store.publisher, [first]) == 0
        for each in (instrument, neighbour):
            await move_keys(source, target, slot_of(each))
            await hand_over(source, target, slot_of(each))
        source.pause()
        in_flight = await store.publisher.publish([make_quote(instrument)])
        # Only the new owner accepts it: from here on the publisher knows the owner of both slots.
        await publish_until_acknowledged(store.publisher, [make_quote(neighbour)])
        newer = make_quote(instrument)
        held = await store.publisher.publish([newer])
        source.resume()
        await publish_until_acknowledged(store.publisher, held.unpublished)

        assert len(in_flight.unpublished) == 1
        assert (held.published, held.unpublished) == (0, (newer,))
        assert "in flight to another node; held back" in held.cause
        assert store.publisher.counters.moved_replies == 1
        assert await stored_bids(store.reader, instrument) == [first.bid, newer.bid]


async def test_of_two_quotes_on_a_lost_connection_only_the_newer_is_reported_unpublished(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Two quotes of a stream have no reply when the connection closes: both may be written, and the
    older one must not be written again after the newer one.
    """
    (instrument,) = fresh_instruments(1)
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as redis,
        publisher_and_reader(redis.addresses, timeout_s=20.0, reply_timeout_s=0.5) as store,
    ):
        (node,) = redis.nodes
        older, newer = make_quote(instrument), make_quote(instrument)
        node.pause()
        lost = await store.publisher.publish([older, newer])
        node.resume()

        assert "connection closed before the reply" in lost.cause
        assert lost.unpublished == (newer,)


async def test_quotes_of_one_stream_all_follow_the_first_of_two_redirects(
    redis_binary: Path, tmp_path: Path
) -> None:
    """A slot moves twice within a request: the replies name two nodes, and over two connections the
    quotes of a stream could overtake each other. The node named first is slow.
    """
    (instrument,) = fresh_instruments(1)
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, node),
        publisher_and_reader([proxy.address], timeout_s=10.0, unavailable_wait_s=10.0) as store,
    ):
        quotes = [make_quote(instrument) for _ in range(2)]
        slot = slot_of(instrument)
        proxy.delay_s = 0.5
        proxy.refusals = [
            f"-ASK {slot} {proxy.address}\r\n".encode(),
            f"-MOVED {slot} {node.address}\r\n".encode(),
        ]
        report = await store.publisher.publish(quotes)

        assert proxy.refused == report.published == 2
        assert await stored_bids(store.reader, instrument) == [quote.bid for quote in quotes]


@pytest.mark.parametrize("kind", ["CLUSTERDOWN", "MASTERDOWN", "READONLY"])
async def test_the_slot_map_is_refreshed_after_an_error_that_shows_it_is_stale(
    kind: str, redis_binary: Path, tmp_path: Path
) -> None:
    """One such reply is enough."""
    (instrument,) = fresh_instruments(1)
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, node),
        publisher_and_reader([proxy.address]) as store,
    ):

        async def slot_map_reads() -> int:
            return int(
                (await node.execute("INFO", "commandstats"))["cmdstat_cluster|slots"]["calls"]
            )

        async def refreshed() -> bool:
            return await slot_map_reads() > before

        before = await slot_map_reads()
        proxy.refusals = [f"-{kind} not here\r\n".encode()]
        report = await store.publisher.publish([make_quote(instrument)])
        with anyio.fail_after(TIMEOUT_S):
            await poll_until(refreshed)

    assert proxy.refused == len(report.unpublished) == 1
    assert kind in report.cause
