"""Health report of the trading mode."""

from msgspec import Struct

from chimera_s1.domain.operations.halt import Halt
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.trading_mode import TradingMode


class ModeReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    halt: As last read from the store; None if it was never read.
    failed: FATAL connections.
    error: Why the store cannot be read now; empty if it can.
    """

    mode: TradingMode
    halt: Halt | None
    failed: tuple[str, ...] = ()
    error: str = ""

    @property
    def level(self) -> Level:
        """ORANGE: an operator must resume trading; YELLOW: the halt is not known or may be an old
        one, or only positions are managed.
        """
        if self.halt is not None and self.halt.halted:
            return Level.ORANGE
        unsure = self.halt is None or self.error or self.failed
        return Level.YELLOW if unsure else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0  # YELLOW does not wait, and a halt does not end by itself

    @property
    def sentence(self) -> str:
        if self.halt is None:
            cause = self.error or "it is being read"
            return (
                f"not known whether trading is halted ({cause}): transfers and entries are "
                "refused until the store was read; check what S1_DB_ARANGO_URI or "
                "S1_DB_SQLITE_PATH names"
            )
        stale = f"; the store cannot be read ({self.error}), this may be old" if self.error else ""
        if self.halt.halted:
            return (
                f"HALTED by {self.halt.actor}: {self.halt.reason}; transfers and entries are "
                f"refused until chimera-s1 mode resume{stale}"
            )
        if self.failed:
            return f"{self.mode}: {', '.join(self.failed)} out of retries{stale}"
        return f"{self.mode}{stale}"
