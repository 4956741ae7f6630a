"""Watch the kill switch: its position is in memory when it is asked for."""

import logging

from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.kill_switch import KillSwitch

POLL_INTERVAL_MS = 1_000.0

_log = logging.getLogger(__name__)


class WatchKillSwitch:
    """The last known position. Before it was read for the first time it counts as on: nobody knows
    whether it was thrown while this process was away.
    """

    def __init__(self, switch: KillSwitch, clock: Clock) -> None:
        self._switch = switch
        self._clock = clock
        self._on: bool | None = None
        self.last_error = ""
        """Why the position may be an old one; empty while it is not."""

    def is_on(self) -> bool:
        """The last known position."""
        return self._on is not False

    async def poll(self) -> None:
        """Read it once."""
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
        """Look once a second until cancelled."""
        while True:
            await self.poll()
            await self._clock.sleep_ms(POLL_INTERVAL_MS)
