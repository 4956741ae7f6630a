"""The lease that says which instance publishes, as a key that expires."""

from typing import Final

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import translate_redis_errors
from chimera_s1.adapters.redis.keys import publisher_lease_key
from chimera_s1.domain.ports.publisher_lease import LeaseHolder

TIMEOUT_S = 1.0

_ACQUIRE: Final = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return {owner, redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {ARGV[1], tonumber(ARGV[2])}
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


class RedisPublisherLease:
    """Implements `domain.ports.publisher_lease.PublisherLease`."""

    def __init__(self, client: ClusterClient, name: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._name = name
        self._key = publisher_lease_key(name)
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return self._name

    async def acquire(self, owner: str, duration_ms: int) -> LeaseHolder:
        with translate_redis_errors(), anyio.fail_after(self._timeout_s):
            holder, remaining_ms = await self._client.execute_command(
                "EVAL", _ACQUIRE, 1, self._key, owner, duration_ms
            )
        return LeaseHolder(str(holder), int(remaining_ms))

    async def release(self, owner: str) -> None:
        with translate_redis_errors(), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("EVAL", _RELEASE, 1, self._key, owner)
