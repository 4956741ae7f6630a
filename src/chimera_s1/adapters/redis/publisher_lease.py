"""The lease that says which instance publishes, as a key that expires."""

from typing import Final

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import publisher_lease_key
from chimera_s1.domain.ports.publisher_lease import LeaseHolder

TIMEOUT_S = 1.0
SCAN_TIMEOUT_S = 5.0

STANDBY_MS: Final = 1_000
"""A standby that has not asked for so long is gone."""

_ACQUIRE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'standby', ARGV[1], 'standby_until', now + ARGV[3])
  return {owner, redis.call('PTTL', KEYS[1]), ARGV[1]}
end
local standby = ''
if tonumber(redis.call('HGET', KEYS[1], 'standby_until') or '0') > now then
  standby = redis.call('HGET', KEYS[1], 'standby')
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {ARGV[1], tonumber(ARGV[2]), standby}
"""

_RELEASE: Final = """
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


async def held_leases(client: ClusterClient) -> tuple[str, ...]:
    """The names of the leases that an instance holds now, sorted."""
    with client.translate_errors(), anyio.fail_after(SCAN_TIMEOUT_S):
        keys = [key async for key in client.scan_iter(match=publisher_lease_key("*"))]
    return tuple(sorted(str(key).removeprefix(publisher_lease_key("")) for key in keys))


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
        with self._client.translate_errors(self._key), anyio.fail_after(self._timeout_s):
            holder, remaining_ms, standby = await self._client.execute_command(
                "EVAL", _ACQUIRE, 1, self._key, owner, duration_ms, STANDBY_MS
            )
        return LeaseHolder(str(holder), int(remaining_ms), str(standby))

    async def release(self, owner: str) -> None:
        with self._client.translate_errors(self._key), anyio.fail_after(self._timeout_s):
            await self._client.execute_command("EVAL", _RELEASE, 1, self._key, owner)
