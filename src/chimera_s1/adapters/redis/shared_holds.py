"""Holds that all instances obey: the hash `s1:hold:<environment>:<venue>`, timed by
the clock of Redis.

Field `dials` or `requests`; value the end in epoch ms of that Redis, a space, and JSON that says
why. The key expires with its last hold.
"""

from collections.abc import Sequence
from typing import Final

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import hold_key
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope
from chimera_s1.domain.ports.shared_holds import SharedHold

TIMEOUT_S = 1.0

_SHARE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ends(value)
  return tonumber(value and string.match(value, '^(%d+) ') or '0')
end
for i = 1, #ARGV, 3 do
  local ends_ms = now + ARGV[i + 1]
  if ends_ms > ends(redis.call('HGET', KEYS[1], ARGV[i])) then
    redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', ends_ms) .. ' ' .. ARGV[i + 2])
  end
end
local held, last = {}, 0
for _, scope in ipairs({'dials', 'requests'}) do
  local value = redis.call('HGET', KEYS[1], scope)
  local ends_ms = ends(value)
  if ends_ms > now then
    table.insert(held, scope)
    table.insert(held, ends_ms - now)
    table.insert(held, string.sub(value, string.find(value, ' ') + 1))
    last = math.max(last, ends_ms)
  end
end
if last > now then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
end
return held
"""


class _Why(Struct, frozen=True):
    reason: str
    cause: str
    instance: str


class RedisSharedHolds:
    """Implements `domain.ports.shared_holds.SharedHolds`.

    Args:
        environment: `S1_BINANCE_ENV`; the hosts of another one have limits of their own.
    """

    def __init__(
        self, client: ClusterClient, environment: str, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._client = client
        self._environment = environment
        self._timeout_s = timeout_s

    async def share(self, venue: Venue, own: Sequence[SharedHold]) -> tuple[SharedHold, ...]:
        key = hold_key(self._environment, venue)
        arguments = [argument for hold in own for argument in _arguments(hold)]
        with self._client.translate_errors(key), anyio.fail_after(self._timeout_s):
            held = await self._client.execute_command("EVAL", _SHARE, 1, key, *arguments)
        rows = zip(held[::3], held[1::3], held[2::3], strict=True)
        return tuple(_hold(str(scope), int(left_ms), text) for scope, left_ms, text in rows)


def _arguments(hold: SharedHold) -> tuple[str, int, bytes]:
    why = _Why(hold.reason.value, hold.cause, hold.instance)
    return hold.scope.value, hold.left_ms, msgspec.json.encode(why)


def _hold(scope: str, left_ms: int, text: str | bytes) -> SharedHold:
    """A reason that is not known, as of a later version, holds all the same."""
    try:
        why = msgspec.json.decode(text, type=_Why)
    except msgspec.DecodeError:
        why = _Why("", "unreadable", "unknown")
    known = why.reason in set(HoldReason)
    return SharedHold(
        scope=HoldScope(scope),
        left_ms=left_ms,
        reason=HoldReason(why.reason) if known else HoldReason.RATE_LIMITED,
        cause=why.cause,
        instance=why.instance,
    )
