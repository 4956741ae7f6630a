"""Ask the trading gate with the kill switch and the mode of this moment."""

from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.trading_gate import Spending, TradingConditions, refusal
from chimera_s1.domain.operations.trading_mode import TradingMode


class TradingGate(Struct, frozen=True, kw_only=True):
    """Every use case that spends asks it, when it accepts and again right before it sends."""

    kill_switch_on: Callable[[], bool]
    mode: Callable[[], TradingMode]
    mode_known: Callable[[], bool]

    def obstacle(self, spending: Spending) -> ChimeraError | None:
        """Why *spending* is refused now; None if it is allowed."""
        now = TradingConditions(
            kill_switch_on=self.kill_switch_on(), mode=self.mode(), mode_known=self.mode_known()
        )
        return refusal(spending, now)
