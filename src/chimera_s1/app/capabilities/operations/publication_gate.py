"""Stop or slow publication while the kill switch is on.

Market data is received and shown as ever. What would be written waits, the newest of each stream,
and is written when the gate opens: streams then hold the present state, calm ones too.
"""

from collections.abc import Callable
from typing import Protocol

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.ports.clock import Clock


class PublicationSwitch(Protocol):
    """Whether publication is limited now; see `WatchKillSwitch`."""

    @property
    def changes(self) -> ChangeSignal: ...

    @property
    def withholds_quotes(self) -> bool: ...


class PublicationGate:
    """Args:
    slow_ms: How often waiting quotes are written while the switch is on; None stops them.

    Attributes:
        opened_ms: When waiting quotes were last let through, local epoch ms.
    """

    def __init__(self, switch: PublicationSwitch, clock: Clock, slow_ms: int | None = None) -> None:
        self._switch = switch
        self._clock = clock
        self._slow_ms = slow_ms
        self.opened_ms = 0

    @property
    def is_open(self) -> bool:
        return not self._switch.withholds_quotes

    @property
    def is_stopped(self) -> bool:
        """No write may begin, not even of quotes that were let through."""
        return self._slow_ms is None and not self.is_open

    async def follow(self, let_through: Callable[[], None]) -> None:
        """Call *let_through* when the gate opens, and in intervals while publication is slowed,
        until cancelled.
        """
        while True:
            version = self._switch.changes.version
            if self.is_open:
                self._let_through(let_through)
                await self._switch.changes.next_after(version)
            elif self._slow_ms is None:
                await self._switch.changes.next_after(version)
            else:
                await self._switch.changes.wait_after(self._clock, self._slow_ms, version=version)
                if not self.is_open:
                    self._let_through(let_through)

    def _let_through(self, let_through: Callable[[], None]) -> None:
        self.opened_ms = self._clock.now_ms()
        let_through()


class AlwaysOpen:
    """The switch of a publisher without one."""

    withholds_quotes = False

    def __init__(self) -> None:
        self.changes = ChangeSignal()
