"""What a Redis node says about a refused write reaches health and log, with the node's address."""

import anyio
import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.domain.operations.health import Level
from tests.contract.quote_stores import make_quote
from tests.contract.redis_cluster import Addresses
from tests.contract.test_node_independence import Publishing
from tests.unit.adapters.redis.publisher.test_node_quote_publisher import node_publisher


async def test_wrong_type_of_one_stream_is_named_and_the_others_are_written(
    redis_single_node: Addresses, caplog: pytest.LogCaptureFixture
) -> None:
    (address,) = redis_single_node
    async with (
        connect_cluster(redis_single_node) as client,
        node_publisher(client) as publisher,
        anyio.create_task_group() as tasks,
    ):
        made = Publishing(50, publisher)
        stream = quote_stream(made.instruments[0])
        await client.execute_command("SET", stream, "not a stream")
        tasks.start_soon(made.publishing.run)
        await made.clock.wait_for_sleeper()
        await made.publish_round([1, 2])
        failing = made.publishing.report()
        await client.execute_command("DEL", stream)
        await made.publish_round([0, 1, 2])
        mended = made.publishing.report()
        tasks.cancel_scope.cancel()

    wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value"
    words = f"Redis {address}: {stream}: {wrong_type}"
    assert failing.level is Level.ORANGE
    assert words in failing.sentence
    assert [words in record.getMessage() for record in caplog.records].count(True) >= 1
    assert mended.level is Level.GREEN


async def test_an_error_of_a_stream_ends_with_its_instrument(
    redis_single_node: Addresses,
) -> None:
    """A delisted instrument whose stream has a wrong type: nothing would end it otherwise."""
    async with (
        connect_cluster(redis_single_node) as client,
        node_publisher(client) as publisher,
        anyio.create_task_group() as tasks,
    ):
        made = Publishing(50, publisher)
        gone, *others = made.instruments
        await client.execute_command("SET", quote_stream(gone), "not a stream")
        await publisher.publish([make_quote(each) for each in made.instruments])
        (node,) = publisher.nodes()
        failing = await publisher.ping(node)
        publisher.forget([gone])
        mended = await publisher.ping(node)
        report = await publisher.publish([make_quote(each) for each in others])
        tasks.cancel_scope.cancel()

    assert "WRONGTYPE" in failing
    assert mended == ""
    assert report.published == len(others)
