"""Poll the kill switch and keep its last known position in memory."""

import logging

from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.kill_switch import KillSwitch

POLL_INTERVAL_MS = 1_000.0

_log = logging.getLogger(__name__)


class WatchKillSwitch:
    """Last known position of the kill switch. It counts as on until the first read succeeds."""

    def __init__(self, switch: KillSwitch, clock: Clock) -> None:
        self._switch = switch
        self._clock = clock
        self._on: bool | None = None
        self.last_error = ""
        """Why the last read failed; empty if it succeeded."""

    def is_on(self) -> bool:
        return self._on is not False

    async def poll(self) -> None:
        """Read the switch once."""
        try:
            now_on = await self._switch.read()
        except (PublisherUnavailableError, ConfigurationError) as error:
            self.last_error = str(error)
            return
        self.last_error = ""
        if now_on is not self._on and (now_on or self._on):
            _log.warning("the kill switch is %s", "ON" if now_on else "off")
        self._on = now_on

    async def run(self) -> None:
        """Poll once a second until cancelled."""
        while True:
            await self.poll()
            await self._clock.sleep_ms(POLL_INTERVAL_MS)
