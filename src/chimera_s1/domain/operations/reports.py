"""Health reports of the clock and the event loop."""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, tier

SKEW_GREEN_MS = 250
SKEW_YELLOW_MS = 500
SKEW_ORANGE_MS = 1000

P_UP_GREEN = 0.95
P_UP_YELLOW = 0.5

LAG_GREEN_MS = 100
LAG_YELLOW_MS = 500
LAG_ORANGE_MS = 2000


class ClockReport(Struct, frozen=True):
    """Our clock against a venue's; see `ClockSkew`."""

    offset_ms: float | None
    p_up: float

    @property
    def level(self) -> Level:
        """The worse of the skew's level and that of `p_up`."""
        return max(skew_level(self.offset_ms), tier(-self.p_up, -P_UP_GREEN, -P_UP_YELLOW, 0.0))

    @property
    def sentence(self) -> str:
        parts = [self._skew()]
        if self.offset_ms is not None and abs(self.offset_ms) > SKEW_GREEN_MS:
            parts.append("synchronise it (chrony or ntpd)")
        if self.p_up < P_UP_GREEN:
            parts.append(
                f"only {self.p_up:.0%} of the time requests are answered: "
                "check the network to the exchange"
            )
        return "; ".join(parts)

    def _skew(self) -> str:
        if self.offset_ms is None:
            return "the exchange's clock was not measured yet, so ts is not corrected"
        side = "behind" if self.offset_ms > 0 else "ahead of"
        return f"this clock is {abs(self.offset_ms):.0f} ms {side} the exchange's"


class LoopReport(Struct, frozen=True):
    """The event loop; *lag_ms* is the longest delay of a wake-up in the last seconds."""

    lag_ms: float

    @property
    def level(self) -> Level:
        return tier(self.lag_ms, LAG_GREEN_MS, LAG_YELLOW_MS, LAG_ORANGE_MS)

    @property
    def sentence(self) -> str:
        if self.lag_ms <= LAG_GREEN_MS:
            return f"wakes up at most {self.lag_ms:.0f} ms late"
        return (
            f"wakes up {self.lag_ms:.0f} ms late: give the process more CPU, serve fewer "
            "S1_SYMBOLS, or split them with S1_SHARD"
        )


def skew_level(offset_ms: float | None) -> Level:
    """250 / 500 / 1000 ms -> GREEN / YELLOW / ORANGE, above RED; YELLOW if not measured yet."""
    if offset_ms is None:
        return Level.YELLOW
    return tier(abs(offset_ms), SKEW_GREEN_MS, SKEW_YELLOW_MS, SKEW_ORANGE_MS)
