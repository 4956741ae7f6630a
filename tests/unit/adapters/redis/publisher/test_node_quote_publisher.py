"""The connections of the node publisher: credentials, redirects and invalid replies."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from redis.exceptions import RedisError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.node_credentials import NodeCredentials
from chimera_s1.adapters.redis.publisher.node_connection import Replies, open_connection
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from tests.contract.quote_stores import fresh_instruments, make_quote, problem_of
from tests.contract.redis_cluster import hand_over, key_slot, move_keys, node_id
from tests.time_limits import TIMEOUT_S

PASSWORD = "correct-horse-battery"
HANDSHAKE_REPLIES = b"+OK\r\n$26\r\nid=7 addr=127.0.0.1:40000 \r\n:0\r\n"


def node_publisher(client: ClusterClient, timeout_s: float = 2.0) -> NodeQuotePublisher:
    return NodeQuotePublisher(
        client,
        maxlen=10,
        window=EVERY_UPDATE,
        clock=SystemClock(),
        draw=lambda: 0.5,
        timeout_s=timeout_s,
    )


async def test_the_credentials_of_the_official_client_are_used(
    redis_binary: Path, tmp_path: Path
) -> None:
    """An ACL user with a password writes. After a change of the password every report says what to
    check, and no text contains it.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as redis:
        (node,) = redis.nodes
        await node.execute("ACL", "SETUSER", "s1", "on", f">{PASSWORD}", "~*", "+@all")
        async with (
            connect_cluster(redis.addresses, user="s1", read_password=lambda: PASSWORD) as client,
            node_publisher(client) as publisher,
        ):
            quote = make_quote(fresh_instruments(1)[0])
            assert (await publisher.publish([quote])).published == 1
            assert PASSWORD not in repr(client.credentials)

            await node.execute("ACL", "SETUSER", "s1", "resetpass", ">another")
            await node.execute("CLIENT", "KILL", "USER", "s1")
            report = await publisher.publish([quote])
            problem = await problem_of(publisher)

        assert report.unpublished == (quote,)
        assert "S1_REDIS_PASS" in problem
        assert "WRONGPASS" in problem
        assert PASSWORD not in report.cause + problem


async def test_a_user_without_client_kill_permission_is_reported_at_start(
    redis_binary: Path, tmp_path: Path
) -> None:
    """CLIENT KILL is needed to keep the order of a stream."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as redis:
        rules = ("on", f">{PASSWORD}", "~*", "+@all", "-client|kill")
        await redis.nodes[0].execute("ACL", "SETUSER", "s1", *rules)
        async with (
            connect_cluster(redis.addresses, user="s1", read_password=lambda: PASSWORD) as client,
            node_publisher(client, 0.5) as publisher,
        ):
            report = await publisher.publish([make_quote(fresh_instruments(1)[0])])

        assert report.published == 0
        assert "S1_REDIS_USER" in report.cause
        assert "client|kill" in report.cause


async def test_a_redirect_loop_ends(redis_binary: Path, tmp_path: Path) -> None:
    """Two masters redirect a slot to each other: the call ends with a cause."""
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as redis,
        connect_cluster(redis.addresses) as client,
        node_publisher(client) as publisher,
    ):
        instrument = next(
            each for each in fresh_instruments(50) if key_slot(quote_stream(each)) < 5000
        )
        slot = key_slot(quote_stream(instrument))
        one, other, _ = redis.nodes
        await publisher.publish([make_quote(instrument)])
        await move_keys(one, other, slot)
        await other.execute("CLUSTER", "SETSLOT", slot, "STABLE")
        report = await publisher.publish([make_quote(instrument)])
        ask_replies, moved_replies = (
            publisher.counters.ask_replies,
            publisher.counters.moved_replies,
        )
        await other.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", await node_id(one))
        await hand_over(one, other, slot)
        again = await publisher.publish(report.unpublished)

        assert report.published == 0
        assert "more than 5 redirects for one quote" in report.cause
        assert ask_replies > 1
        assert moved_replies > 1
        assert again.published == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(b"+OK\r\n+OK\r\n", "unexpected reply", id="two replies to one request"),
        pytest.param(b"!@#$%\r\n", "invalid RESP", id="invalid RESP"),
        pytest.param(b"-ERR bye\r\n+OK\r\n", "ERR bye", id="error before closing"),
        pytest.param(b"", "the server closed the connection", id="nothing"),
    ],
)
async def test_a_connection_with_unexpected_replies_is_closed(reply: bytes, reason: str) -> None:
    """The request in flight gets None: its outcome is unknown."""
    received: list[Replies | None] = []
    async with scripted_server(reply) as address:
        with anyio.fail_after(TIMEOUT_S):
            connection = await open_connection(address, NodeCredentials(), None)
            assert connection.ready
            connection.request(b"*1\r\n$4\r\nPING\r\n", 1, received.append)
            assert not connection.ready
            await connection.ended.wait()

    assert received == [None]
    assert reason in connection.end_reason
    assert not connection.answered


async def test_the_reason_of_a_server_that_refuses_a_connection_is_kept() -> None:
    """It says so in reply to the first command, and closes."""

    async def refuse(client: SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(b"-ERR max number of clients reached\r\n")

    async with served(refuse) as address:
        with (
            anyio.fail_after(TIMEOUT_S),
            pytest.raises(RedisError, match="max number of clients reached"),
        ):
            await open_connection(address, NodeCredentials(), None)


@asynccontextmanager
async def scripted_server(reply: bytes) -> AsyncIterator[RedisAddress]:
    """A server that completes the handshake and sends *reply* to the first request; it closes the
    connection if *reply* is empty.
    """

    async def serve(client: SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(HANDSHAKE_REPLIES)
            await client.receive()
            if reply:
                await client.send(reply)
                await anyio.sleep_forever()

    async with served(serve) as address:
        yield address


@asynccontextmanager
async def served(
    serve: Callable[[SocketStream], Awaitable[None]],
) -> AsyncIterator[RedisAddress]:
    """A server that calls *serve* with each connection."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        yield RedisAddress("127.0.0.1", int(listener.extra(SocketAttribute.local_port)))
        tasks.cancel_scope.cancel()
