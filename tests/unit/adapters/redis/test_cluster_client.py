"""Connecting: configuration errors, recovery, and passwords that appear in no text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from tests.contract.quote_stores import fresh_instruments, make_quote, problem_of
from tests.time_limits import TIMEOUT_S

PASSWORD = "correct-horse-battery"


async def test_wrong_credentials_are_a_configuration_error(
    redis_binary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong or missing password: the error names the setting, not the value. A right one is no
    line in the log, of redis-py either.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        await embedded.nodes[0].execute("CONFIG", "SET", "requirepass", PASSWORD)
        for wrong in ("wrong-" + PASSWORD, ""):
            with pytest.raises(ConfigurationError, match="S1_REDIS_PASS") as caught:
                async with connect_cluster(embedded.addresses, read_password=partial(str, wrong)):
                    pytest.fail("the password was wrong")
            assert PASSWORD not in str(caught.value)
            assert caught.value.__cause__ is None

        async with connect_cluster(embedded.addresses, read_password=lambda: PASSWORD) as client:
            publisher = OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE)
            report = await publisher.publish([make_quote(fresh_instruments(1)[0])])
            assert (report.published, await problem_of(publisher)) == (1, "")
            assert PASSWORD not in repr(client)
    assert [record for record in caplog.records if record.name.startswith("redis")] == []


async def test_a_changed_password_is_reported_with_the_name_of_its_setting(
    redis_binary: Path, tmp_path: Path
) -> None:
    """The server starts to require a password and drops all clients: every report says what to
    check, and the publisher does not raise.
    """
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        connect_cluster(embedded.addresses) as client,
        connect_cluster(embedded.addresses) as reading,
    ):
        publisher, reader = (
            OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE),
            RedisQuoteReader(reading),
        )
        quote = make_quote(fresh_instruments(1)[0])
        assert (await publisher.publish([quote])).published == 1
        await reader.newest([quote.instrument])
        node = embedded.nodes[0]
        await node.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await node.execute("CONFIG", "SET", "requirepass", PASSWORD)

        report = await publisher.publish([quote])

        assert report.unpublished == (quote,)
        assert "S1_REDIS_PASS" in report.cause
        assert "NOAUTH" in report.cause
        assert "S1_REDIS_PASS" in await problem_of(publisher)
        with pytest.raises(ConfigurationError, match="S1_REDIS_PASS"):
            await reader.newest([quote.instrument])


async def test_a_user_without_write_permission_is_a_configuration_error(
    redis_binary: Path, tmp_path: Path
) -> None:
    """An ACL user with read permission can connect; the error of a write names the setting."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        rules = ("on", f">{PASSWORD}", "~*", "+@read", "+@connection", "+cluster", "+command")
        await embedded.nodes[0].execute("ACL", "SETUSER", "looker", *rules)
        async with connect_cluster(
            embedded.addresses, user="looker", read_password=lambda: PASSWORD
        ) as client:
            log = RedisOperationsLog(client, maxlen=10)
            with pytest.raises(ConfigurationError, match="S1_REDIS_USER"):
                await log.record_throughput(1.0)


async def test_a_server_outside_cluster_mode_is_a_configuration_error(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with plain_redis(redis_binary, tmp_path) as address:
        with pytest.raises(ConfigurationError, match=r"cluster mode.*--cluster-enabled yes"):
            async with connect_cluster([address]):
                pytest.fail("not a cluster")


async def test_publishing_starts_when_the_cluster_becomes_available(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        (node,) = embedded.nodes
        await node.kill()
        async with connect_cluster(embedded.addresses) as client:
            publisher = OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE)
            quote = make_quote(fresh_instruments(1)[0])
            assert (await publisher.publish([quote])).unpublished == (quote,)
            await node.start()
            with anyio.fail_after(TIMEOUT_S):
                while (await publisher.publish([quote])).unpublished:
                    pass

            assert await problem_of(publisher) == ""


async def test_a_cluster_that_moved_is_found_at_the_configured_addresses(
    redis_binary: Path, tmp_path: Path
) -> None:
    """The client replaces the configured addresses by the discovered ones. If none of those is
    left, it uses the configured ones again.
    """
    old = EmbeddedRedis(tmp_path / "old", binary=redis_binary)
    async with EmbeddedRedis(tmp_path / "new", binary=redis_binary) as new:
        async with old:
            await new.nodes[0].kill()
            addresses = (*old.addresses, *new.addresses)
            quote = make_quote(fresh_instruments(1)[0])
            context = connect_cluster(addresses)
            client = await context.__aenter__()
            publisher = OfficialQuotePublisher(client, maxlen=10, window=EVERY_UPDATE)
            assert (await publisher.publish([quote])).published == 1
        try:
            await new.nodes[0].start()
            with anyio.fail_after(TIMEOUT_S):
                while (await publisher.publish([quote])).unpublished:
                    pass
            assert await RedisQuoteReader(client).instruments() == (quote.instrument,)
        finally:
            await context.__aexit__(None, None, None)


@asynccontextmanager
async def plain_redis(binary: Path, directory: Path) -> AsyncIterator[RedisAddress]:
    async with EmbeddedRedis(directory / "for-its-port", binary=binary) as embedded:
        port = embedded.addresses[0].port
    server = ServerProcess(binary, directory / "plain", port, ("--cluster-enabled", "no"))
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop()


async def test_a_new_connection_uses_the_password_of_that_time(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Rotation: the server takes both passwords, the file changes, the old one is removed."""
    passwords = {"now": PASSWORD}
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        (node,) = embedded.nodes
        await node.execute("ACL", "SETUSER", "s1", "on", f">{PASSWORD}", "~*", "+@all")
        async with connect_cluster(
            embedded.addresses, user="s1", read_password=lambda: passwords["now"]
        ) as client:
            await client.set("before", "1")
            await node.execute("ACL", "SETUSER", "s1", f"<{PASSWORD}", ">next")
            await node.execute("CLIENT", "KILL", "USER", "s1")
            passwords["now"] = "next"
            assert await client.get("before") == "1"
            async with NodeQuotePublisher(
                client, maxlen=10, window=EVERY_UPDATE, clock=SystemClock(), draw=lambda: 0.5
            ) as publisher:
                report = await publisher.publish([make_quote(fresh_instruments(1)[0])])
            assert report.published == 1
