"""Track the trading mode from connection events, and record each change."""

import logging
from collections.abc import Callable

from chimera_s1.domain.operations.trading_mode import (
    ConnectionFailed,
    ConnectionRecovered,
    ModeEvent,
    ModeState,
    TradingMode,
    evolve,
)
from chimera_s1.domain.ports.market_feed import ConnectionFatal, FatalEnded, FeedEvent
from chimera_s1.domain.ports.operations_log import EventDetail

_log = logging.getLogger(__name__)


class TrackTradingMode:
    """The trading mode of the process; *record* gets the event `mode.changed`."""

    def __init__(self, record: Callable[[str, EventDetail], None]) -> None:
        self._record = record
        self._state = ModeState()

    def mode(self) -> TradingMode:
        return self._state.mode

    def known(self) -> bool:
        """Whether a halt would be known; see `ModeState.halted`."""
        return self._state.halted is not None

    @property
    def failed(self) -> frozenset[str]:
        """Names of FATAL connections."""
        return self._state.failed

    def on_feed_event(self, event: FeedEvent) -> None:
        """Apply a FATAL connection or its recovery; ignore other events."""
        match event:
            case ConnectionFatal(connection=name):
                self.apply(ConnectionFailed(name))
            case FatalEnded(connection=name):
                self.apply(ConnectionRecovered(name))
            case _:
                return

    def apply(self, event: ModeEvent) -> None:
        before = self.mode() if self.known() else TradingMode.NORMAL
        self._state = evolve(self._state, event)
        after = self.mode()
        if self.known() and after is not before:
            _log.warning("trading mode: %s -> %s", before.value, after.value)
            self._record("mode.changed", {"from": before.value, "to": after.value})
