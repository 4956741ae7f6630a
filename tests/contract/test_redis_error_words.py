"""What a Redis node says when it refuses a write reaches the operator, with the node's address."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.domain.errors import PublisherRefusedError, PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.ports.operations_log import OperationsEvent
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from tests.contract.quote_stores import (
    fresh_instruments,
    make_quote,
    problem_of,
    redis_store,
)
from tests.contract.tcp_proxy import redis_behind_proxy

REFUSALS = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOREPLICAS Not enough good replicas to write.",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "READONLY You can't write against a read only replica.",
    "MISCONF Redis is configured to save RDB snapshots, but unable to persist to disk",
]

EVENT = OperationsEvent(event_id="1", ts=1, kind="test", detail={})
CHANGE = StatusChange(ts=1, symbol="BTCUSDT", state=Liveness.LIVE, since=1, cause="")


async def raised_by(call: Callable[[], Awaitable[object]], words: str) -> str:
    """A refusal only where the words are about the entry."""
    with pytest.raises(PublisherUnavailableError) as raised:
        await call()
    assert isinstance(raised.value, PublisherRefusedError) == words.startswith("WRONGTYPE")
    return str(raised.value)


async def test_the_server_s_own_words_and_its_address_are_kept(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Both publishers, in the result of a write and of a ping after it; the operational events and
    the market's status.
    """
    instrument = fresh_instruments(1)[0]
    async with (
        redis_behind_proxy(redis_binary, tmp_path) as (proxy, server),
        redis_store([proxy.address], "node") as node,
        redis_store([proxy.address], "official") as official,
        connect_cluster([proxy.address]) as client,
    ):
        operations = RedisOperationsLog(client, maxlen=10)
        status = RedisMarketStatus(client, maxlen=10)
        for words in REFUSALS:
            proxy.refusal = f"-{words}\r\n".encode()
            told = {
                "events": await raised_by(lambda: operations.record(EVENT), words),
                "status": await raised_by(lambda: status.append(Venue.SPOT, [CHANGE]), words),
            }
            for name, store in (("node", node), ("official", official)):
                report = await store.publisher.publish([make_quote(instrument)])
                told |= {name: report.cause, f"{name} ping": await problem_of(store.publisher)}
            for name, text in told.items():
                assert words in text, name
                assert str(proxy.address) in text, name

        proxy.refusal = b""
        for store in (node, official):
            assert (await store.publisher.publish([make_quote(instrument)])).published == 1
            assert await problem_of(store.publisher) == ""
            await check_a_stream_of_a_wrong_type(store.publisher, server, str(proxy.address))


async def check_a_stream_of_a_wrong_type(
    publisher: QuotePublisher, server: ServerProcess, address: str
) -> None:
    """It is named until it is written; its node accepts the other streams meanwhile."""
    wrong, other = fresh_instruments(2)
    key = quote_stream(wrong)
    await server.execute("SET", key, "text")
    report = await publisher.publish([make_quote(wrong), make_quote(other)])
    problem = await problem_of(publisher)
    await server.execute("DEL", key)
    again = await publisher.publish(report.unpublished)

    assert (report.published, again.published) == (1, 1)
    for text in (report.cause, problem):
        assert f"Redis {address}: {key}: WRONGTYPE Operation" in text
    assert await problem_of(publisher) == ""
