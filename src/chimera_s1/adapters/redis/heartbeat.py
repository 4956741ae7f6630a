"""Writes and counts `s1:heartbeat:<instance>`."""

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import heartbeat_key
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord

EXPIRES_MS = 10_000
TIMEOUT_S = 2.0
_SCAN_ROWS = 1_000
"""Keys that Redis looks at in one step of a SCAN."""


class _Shown(Struct):
    environment: str


class RedisHeartbeat:
    """Implements `domain.ports.heartbeat.Heartbeat`."""

    def __init__(
        self, client: ClusterClient, *, expires_ms: int = EXPIRES_MS, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._client = client
        self._expires_ms = expires_ms
        self._timeout_s = timeout_s

    async def beat(self, record: HeartbeatRecord) -> None:
        key, text = heartbeat_key(record.instance), msgspec.json.encode(record)
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("SET", key, text, "PX", self._expires_ms)

    async def count_others(self, environment: str, instance: str) -> int:
        with self._client.translate_errors(), anyio.fail_after(self._timeout_s):
            pattern = heartbeat_key("*")
            keys = {key async for key in self._client.scan_iter(match=pattern, count=_SCAN_ROWS)}
            keys.discard(heartbeat_key(instance))
            texts = [await self._client.execute_command("GET", key) for key in sorted(keys)]
        return sum(_environment_of(text) in {None, environment} for text in texts if text)

    async def end(self, instance: str) -> None:
        key = heartbeat_key(instance)
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("DEL", key)


def _environment_of(text: str | bytes) -> str | None:
    """None where the record cannot be read, as one of a later version."""
    try:
        return msgspec.json.decode(text, type=_Shown).environment
    except msgspec.DecodeError:
        return None
