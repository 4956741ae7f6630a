"""Reads `kill_switch`."""

import anyio
from redis.exceptions import ResponseError

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import KILL_SWITCH_KEY

TIMEOUT_S = 1.0
_OFF_VALUES = frozenset({"", "off", "0", "false", "no"})


class RedisKillSwitch:
    """Implements `domain.ports.kill_switch.KillSwitch`."""

    def __init__(self, client: ClusterClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def read(self) -> bool:
        """True for every value that does not mean off, also for unknown ones, and for a key of
        another type: somebody has set it.
        """
        with self._client.translate_errors(KILL_SWITCH_KEY), anyio.fail_after(self._timeout_s):
            try:
                stored = await self._client.execute_command("GET", KILL_SWITCH_KEY)
            except ResponseError as error:
                if not str(error).startswith("WRONGTYPE"):
                    raise
                return True
        text = stored.decode(errors="replace") if isinstance(stored, bytes) else stored or ""
        return str(text).strip().lower() not in _OFF_VALUES
