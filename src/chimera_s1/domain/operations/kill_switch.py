"""Health report of the kill switch."""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level

_MEANING = "publication is stopped or slowed (S1_KILL_SWITCH_MODE), transfers and entries refused"


class KillSwitchReport(Struct, frozen=True):
    """What is known of the key `kill_switch`.

    Attributes:
        on: The last value read; None before the first read that succeeded.
        error: Why the last read failed; empty if it succeeded.
    """

    on: bool | None
    error: str = ""

    @property
    def level(self) -> Level:
        """ORANGE while it is on: an operator must clear it. YELLOW while its value may be old."""
        if self.on:
            return Level.ORANGE
        return Level.YELLOW if self.error or self.on is None else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """None: it does not change by itself."""
        return 0

    @property
    def sentence(self) -> str:
        if self.on is None:
            cause = f" ({self.error})" if self.error else ""
            return (
                f"the kill switch was never read{cause}: transfers and entries are refused until "
                "it is, quotes are published; check the Redis node of the key kill_switch"
            )
        unread = f"; it cannot be read now ({self.error}), its last value holds"
        stale = unread if self.error else ""
        if self.on:
            return f"the kill switch is on: {_MEANING}; DEL kill_switch in Redis ends it{stale}"
        return f"the kill switch is off{stale}"
