"""Reads `kill_switch`."""

import anyio

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
        """True for every value that does not mean off, also for unknown ones."""
        with self._client.translate_errors(KILL_SWITCH_KEY), anyio.fail_after(self._timeout_s):
            stored = await self._client.execute_command("GET", KILL_SWITCH_KEY)
        text = stored.decode(errors="replace") if isinstance(stored, bytes) else stored or ""
        return str(text).strip().lower() not in _OFF_VALUES
