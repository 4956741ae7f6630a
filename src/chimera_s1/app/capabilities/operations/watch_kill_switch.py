"""Poll the kill switch and keep its last known position in memory."""

import logging
from collections.abc import Callable

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.operations.kill_switch import KillSwitchReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.kill_switch import KillSwitch
from chimera_s1.domain.ports.operations_log import EventDetail

POLL_INTERVAL_MS = 250.0

_log = logging.getLogger(__name__)


class WatchKillSwitch:
    """The last known position of the kill switch.

    Args:
        record: Takes the operational event `kill_switch.changed`.

    Attributes:
        changes: Notified when the position changes, and after the first read, also a failed one.
        last_error: Why the last read failed; empty if it succeeded.
        failures: How many reads have failed since the start.
        position: The last value read; None before the first read that succeeded.
    """

    def __init__(
        self, switch: KillSwitch, clock: Clock, record: Callable[[str, EventDetail], None]
    ) -> None:
        self._switch = switch
        self._clock = clock
        self._record = record
        self._asked = False
        self.changes = ChangeSignal()
        self.position: bool | None = None
        self.last_error = ""
        self.failures = 0

    def is_on(self) -> bool:
        """For what spends: it counts as on until a read has succeeded."""
        return self.position is not False

    @property
    def withholds_quotes(self) -> bool:
        """For publication: on, or not asked yet. If it cannot be read at the start, quotes are
        published: one Redis node that is down must not stop those of all others.
        """
        return self.position is True or not self._asked

    def report(self) -> KillSwitchReport:
        return KillSwitchReport(self.position, self.last_error)

    async def poll(self) -> None:
        """Read the switch once."""
        try:
            now_on = await self._switch.read()
        except (PublisherUnavailableError, ConfigurationError) as error:
            self._record_failure(str(error))
        else:
            self._apply(now_on)

    async def run(self) -> None:
        """Poll four times a second until cancelled."""
        while True:
            await self.poll()
            await self._clock.sleep_ms(POLL_INTERVAL_MS)

    def _record_failure(self, cause: str) -> None:
        if not self.last_error:
            then = "its last value holds" if self.position is not None else "it was never read"
            _log.warning("cannot read the kill switch: %s; %s", cause, then)
        self.last_error = cause
        self.failures += 1
        if not self._asked:
            self._asked = True
            self.changes.notify()

    def _apply(self, now_on: bool) -> None:
        before, self.position = self.position, now_on
        if self.last_error:
            _log.info("the kill switch can be read again: it is %s", "ON" if now_on else "off")
        self.last_error = ""
        first, self._asked = not self._asked, True
        if now_on is not before and (now_on or before):
            _log.warning("the kill switch is %s", "ON" if now_on else "off")
            self._record("kill_switch.changed", {"to": "on" if now_on else "off"})
        if first or now_on is not before:
            self.changes.notify()
