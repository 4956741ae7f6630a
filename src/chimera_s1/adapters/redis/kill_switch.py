"""The kill switch, read by the official client."""

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import redis_errors
from chimera_s1.adapters.redis.keys import KILL_SWITCH_KEY

PATIENCE_S = 2.0
_OFF = frozenset({"", "off", "0", "false", "no"})


class RedisKillSwitch:
    """Implements `domain.ports.kill_switch.KillSwitch`."""

    def __init__(self, client: ClusterClient, *, patience_s: float = PATIENCE_S) -> None:
        """Args:
        client: Used by nobody else.

        patience_s: The longest a call may take, s.
        """
        self._client = client
        self._patience_s = patience_s

    async def read(self) -> bool:
        """On, unless the key is missing or says off: a word nobody knows was meant to stop
        something.
        """
        with redis_errors(), anyio.fail_after(self._patience_s):
            position = await self._client.execute_command("GET", KILL_SWITCH_KEY)
        text = position.decode(errors="replace") if isinstance(position, bytes) else position or ""
        return str(text).strip().lower() not in _OFF
