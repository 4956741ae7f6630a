"""Read the trading mode, the kill switch and what they refuse, from memory."""

from msgspec import Struct

from chimera_s1.app.capabilities.operations.track_trading_mode import TrackTradingMode
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.capabilities.trading_mode.halt_ledger import HaltLedger
from chimera_s1.domain.operations.halt import Halt
from chimera_s1.domain.operations.mode_report import ModeReport
from chimera_s1.domain.operations.trading_gate import Spending
from chimera_s1.domain.operations.trading_mode import TradingMode


class CurrentMode(Struct, frozen=True, kw_only=True):
    """Attributes:
    halt: None until the store was read.
    failed: FATAL connections: why the mode is MANAGE_ONLY.
    kill_switch_on: None until it was read.
    refusals: Why each kind of spending is refused now; empty texts where it is not.
    """

    mode: TradingMode
    halt: Halt | None
    failed: tuple[str, ...]
    kill_switch_on: bool | None
    refusals: dict[Spending, str]


class ReadMode:
    def __init__(
        self,
        tracked: TrackTradingMode,
        switch: WatchKillSwitch,
        gate: TradingGate,
        ledger: HaltLedger,
    ) -> None:
        self._tracked = tracked
        self._switch = switch
        self._gate = gate
        self._ledger = ledger

    def current(self) -> CurrentMode:
        return CurrentMode(
            mode=self._tracked.mode(),
            halt=self._ledger.halt,
            failed=tuple(sorted(self._tracked.failed)),
            kill_switch_on=self._switch.position,
            refusals={each: str(self._gate.obstacle(each) or "") for each in Spending},
        )

    def report(self) -> ModeReport:
        """For `/health`."""
        return ModeReport(
            mode=self._tracked.mode(),
            halt=self._ledger.halt,
            failed=tuple(sorted(self._tracked.failed)),
            error=self._ledger.last_error,
        )
