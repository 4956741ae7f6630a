"""The Redis that a command uses: from --redis, from the settings, or of a demo or service."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress, parse_addresses
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.app.cli.shared.options import (
    EMBEDDED_REDIS,
    settings_with,
    settings_with_redis,
)
from chimera_s1.app.redis_client import redis_client
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.settings.types import parse_nodes
from chimera_s1.app.state_files import SERVICE_FILE, demo_file, read_demo_state, read_env_file
from chimera_s1.domain.errors import ConfigurationError


class StreamStoreLocation(Struct, frozen=True):
    """Some nodes of a cluster, and where they were named: `--redis`, a setting, a file.

    Attributes:
        embedded: A demo's or a command's own: it has no users and no TLS.
    """

    addresses: tuple[RedisAddress, ...]
    origin: str
    embedded: bool = False

    @property
    def settings(self) -> Mapping[str, str]:
        """The `S1_*` variables to merge into the settings that `connected` takes."""
        if self.embedded:
            return EMBEDDED_REDIS
        return {"S1_REDIS_ADDRESSES": ",".join(map(str, self.addresses))}

    def __str__(self) -> str:
        return f"Redis {', '.join(map(str, self.addresses))} (from {self.origin})"


def find_stream_store(
    named: str | None, settings: Settings, state_dir: Path
) -> StreamStoreLocation | None:
    """*named* (`--redis`), else S1_REDIS_ADDRESSES, else of what runs in *state_dir*.

    Raises:
        InvalidValueError: *named* is not a list of nodes.
        ConfigurationError: A state file cannot be read, or was left behind by a killed demo.
    """
    if named:
        return StreamStoreLocation(parse_nodes(named), "--redis")
    if settings.redis_addresses:
        return StreamStoreLocation(settings.redis_addresses, "S1_REDIS_ADDRESSES")
    if (demo := find_demo_redis(state_dir)) is not None:
        return demo
    service = state_dir / SERVICE_FILE
    try:
        addresses = read_env_file(service)["S1_REDIS_ADDRESSES"]
    except (OSError, KeyError):
        return None
    return StreamStoreLocation(parse_addresses(addresses), str(service))


def find_demo_redis(state_dir: Path) -> StreamStoreLocation | None:
    """That of the demo that runs in *state_dir*.

    Raises:
        ConfigurationError: As `find_stream_store`.
    """
    demo = read_demo_state(state_dir)
    if demo is None:
        return None
    return StreamStoreLocation(demo.redis_addresses, str(demo_file(state_dir)), embedded=True)


def require_stream_store(
    named: str | None, settings: Settings, state_dir: Path
) -> StreamStoreLocation:
    """`find_stream_store`, with a ConfigurationError where there is none."""
    location = find_stream_store(named, settings, state_dir)
    if location is None:
        raise ConfigurationError(
            f"no Redis to read: nothing runs in {state_dir}; start chimera-s1 demo, "
            "or name a cluster with --redis host:port or S1_REDIS_ADDRESSES"
        )
    return location


def settings_with_stream_store(
    named: str | None, state_dir: Path | None
) -> tuple[Settings, StreamStoreLocation]:
    """The settings, judged with the location merged in, and the location.

    Raises:
        InvalidValueError: As `find_stream_store`.
        ConfigurationError: As `require_stream_store` and `settings_with`.
    """
    if named or os.environ.get("S1_REDIS_ADDRESSES", "").strip():
        settings = settings_with_redis(state_dir, named) if named else settings_with(state_dir)
        return settings, require_stream_store(named, settings, settings.state_dir)
    settings = settings_with_redis(state_dir, None)
    location = require_stream_store(None, settings, settings.state_dir)
    return settings_with(state_dir, **location.settings), location


@asynccontextmanager
async def connected(
    location: StreamStoreLocation, settings: Settings
) -> AsyncIterator[ClusterClient]:
    """A client of *location*, connected as *settings* say, after its first answer.

    Raises:
        PublisherUnavailableError: Redis does not answer.
        ConfigurationError: A certificate or key file cannot be used, Redis refuses them or the
            credentials, or is not a cluster.
    """
    async with redis_client(settings, location.addresses) as client:
        with client.translate_errors():
            await client.refresh()
        yield client
