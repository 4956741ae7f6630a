"""Writes `s1:heartbeat:<instance>`, and the index of them by which instances are counted.

The index is a sorted set: member `<environment> <instance>`, score the last beat, epoch ms of that
Redis. Without it all keys of all nodes would have to be scanned, those of other services, too.
"""

from typing import Final

import anyio
import msgspec

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import HEARTBEAT_INDEX, heartbeat_key
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord

EXPIRES_MS = 10_000
TIMEOUT_S = 2.0

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_BEAT: Final = f"""{_NOW}
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_LIVE: Final = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
_END: Final = """
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.match(member, '[^ ]*$') == ARGV[1] then
    redis.call('ZREM', KEYS[1], member)
  end
end
"""


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
        member = f"{record.environment} {record.instance}"
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("SET", key, text, "PX", self._expires_ms)
            await self._index(_BEAT, member, self._expires_ms)

    async def count_others(self, environment: str, instance: str) -> int:
        with self._client.translate_errors(HEARTBEAT_INDEX), anyio.fail_after(self._timeout_s):
            members = await self._index(_LIVE, self._expires_ms)
        named = (str(member).rpartition(" ") for member in members)
        return sum(each in {"", environment} and name != instance for each, _, name in named)

    async def end(self, instance: str) -> None:
        key = heartbeat_key(instance)
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("DEL", key)
            await self._index(_END, instance)

    async def _index(self, script: str, *arguments: str | int) -> list[str]:
        found: list[str] = await self._client.execute_command(
            "EVAL", script, 1, HEARTBEAT_INDEX, *arguments
        )
        return found
