"""Writes `s1:heartbeat:<instance>`."""

import anyio
import msgspec

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import heartbeat_key
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord

EXPIRES_MS = 10_000
TIMEOUT_S = 2.0


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

    async def end(self, instance: str) -> None:
        key = heartbeat_key(instance)
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("DEL", key)
