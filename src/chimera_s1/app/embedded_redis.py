"""Embedded Redis Clusters: of a service without S1_REDIS_ADDRESSES, and of a replay."""

import logging

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.ports.clock import Clock

RESTART_DELAY_MS = 500

_log = logging.getLogger(__name__)


def embedded_redis(settings: Settings) -> EmbeddedRedis:
    """The embedded cluster of *settings*, not started yet.

    Raises:
        ConfigurationError: There is no redis-server on this machine, or a key of a real venue is
            set: others could not see what is done with it, and it would be lost with the process.
    """
    check_redis_is_named(settings)
    return EmbeddedRedis(
        settings.state_dir.absolute() / "redis",
        binary=find_redis_server(str(settings.redis_server or "")),
        port=settings.redis_embedded_port,
        options=_memory_bound(settings),
    )


def check_redis_is_named(settings: CoreSettings) -> None:
    """Raises:
    ConfigurationError: A key of a real venue is set and no Redis.
    """
    if settings.real_venue and settings.moves_money and not settings.redis_addresses:
        raise ConfigurationError(
            f"S1_REDIS_ADDRESSES is not set: with S1_BINANCE_KEY and S1_BINANCE_ENV="
            f"{settings.binance_env} an embedded Redis, which ends with this process, is not "
            "enough; name a cluster, or unset the key"
        )


def replay_redis(settings: Settings) -> EmbeddedRedis:
    """An embedded cluster beside that of a service with the same settings, not started yet.

    Raises:
        ConfigurationError: There is no redis-server on this machine.
    """
    return EmbeddedRedis(
        settings.state_dir.absolute() / "replay-redis",
        binary=find_redis_server(str(settings.redis_server or "")),
        options=_memory_bound(settings),
    )


def _memory_bound(settings: CoreSettings) -> tuple[str, ...]:
    """A full server refuses writes in its own words; it never drops a stream in silence."""
    bound = f"{settings.redis_embedded_memory_mb}mb"
    return ("--maxmemory", bound, "--maxmemory-policy", "noeviction")


def node_addresses(redis: EmbeddedRedis) -> tuple[RedisAddress, ...]:
    return tuple(node.address for node in redis.nodes)


async def restart_when_down(redis: EmbeddedRedis, clock: Clock) -> None:
    """Restart a server that exited by itself. Its data is lost."""
    while True:
        try:
            for node in redis.nodes:
                if node.pid is None:
                    await node.start()
            await redis.watch()
        except PublisherUnavailableError as error:
            _log.error("%s; restarting it", error)
        await clock.sleep_ms(RESTART_DELAY_MS)
