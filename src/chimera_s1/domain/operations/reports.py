"""Health reports of the clock, the event loop and the limits of a venue."""

from msgspec import Struct

from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.health import Level, tier
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import BucketReport
from chimera_s1.domain.operations.venue_hold import Hold

SKEW_GREEN_MS = 250
SKEW_YELLOW_MS = 500
SKEW_ORANGE_MS = 1000

P_UP_GREEN = 0.95
P_UP_YELLOW = 0.5

LAG_GREEN_MS = 100
LAG_YELLOW_MS = 500
LAG_ORANGE_MS = 2000

TIME_REQUESTS_GRACE_MS = 30_000
"""While they fail, time is asked for every second; the default patrol asks every 30 s."""
LOOP_GRACE_MS = 10_000
"""One late wake-up is in the report for 5 s; only a second one makes it last longer."""
SHORT_HOLD_MS = 10_000
"""A hold that ends sooner needs no operator."""


class ClockReport(Struct, frozen=True):
    """Our clock against a venue's; see `ClockSkew`."""

    offset: ClockOffset | None
    p_up: float

    @property
    def level(self) -> Level:
        """The worse of the skew's level and that of `p_up`."""
        return max(skew_level(self.offset), self._answers_level())

    @property
    def grace_ms(self) -> float:
        """None for a skew: it is proven by several samples, and no clock is right by waiting."""
        return 0 if skew_level(self.offset) >= self._answers_level() else TIME_REQUESTS_GRACE_MS

    def _answers_level(self) -> Level:
        return tier(-self.p_up, -P_UP_GREEN, -P_UP_YELLOW, 0.0)

    @property
    def sentence(self) -> str:
        parts = [self._skew()]
        if _proven_skew_ms(self.offset) > SKEW_GREEN_MS:
            parts.append("synchronise it (chrony or ntpd)")
        if self.p_up < P_UP_GREEN:
            parts.append(
                f"only {self.p_up:.0%} of the time requests are answered: "
                "check the network to the exchange"
            )
        return "; ".join(parts)

    def _skew(self) -> str:
        if self.offset is None:
            return (
                "the exchange's clock was not measured yet, so ts is the receive time and nothing "
                "is signed"
            )
        if not self.offset.usable:
            return (
                f"the exchange's clock is known to {self.offset.bound_ms:.0f} ms only, so ts is "
                "the receive time and nothing is signed: time requests take too long, check the "
                "network to the exchange"
            )
        side = "behind" if self.offset.offset_ms > 0 else "ahead of"
        return (
            f"this clock is {abs(self.offset.offset_ms):.0f} ms {side} the exchange's, "
            f"within {self.offset.bound_ms:.0f} ms"
        )


class LoopReport(Struct, frozen=True):
    """The event loop; *lag_ms* is the longest delay of a wake-up in the last seconds."""

    lag_ms: float

    @property
    def level(self) -> Level:
        return tier(self.lag_ms, LAG_GREEN_MS, LAG_YELLOW_MS, LAG_ORANGE_MS)

    @property
    def grace_ms(self) -> float:
        return LOOP_GRACE_MS

    @property
    def sentence(self) -> str:
        if self.lag_ms <= LAG_GREEN_MS:
            return f"wakes up at most {self.lag_ms:.0f} ms late"
        return (
            f"wakes up {self.lag_ms:.0f} ms late: give the process more CPU, serve fewer "
            "S1_SYMBOLS, or split them with S1_SHARD"
        )


class EmbeddedRedisReport(Struct, frozen=True):
    """Real market data in a Redis that ends with the process."""

    @property
    def level(self) -> Level:
        return Level.YELLOW

    @property
    def grace_ms(self) -> float:
        return 0

    @property
    def sentence(self) -> str:
        return (
            "quotes of a real venue are in an embedded Redis, one node that ends with this process "
            "and that other machines cannot reach: name a cluster in S1_REDIS_ADDRESSES"
        )


class VenueLimitsReport(Struct, frozen=True):
    """What a venue lets us do now.

    Attributes:
        dials: Sockets dialled in the last 5 minutes.
        dials_max: How many may be.
        dial_wait_ms: Until the next dial is allowed by their number; 0 when it is.
        hold: In force now; None without one.
        held_ms: How long it lasts from now.
        holds: How many have begun since the start.
        dials_total: Sockets dialled since the start.
        requests: What is used of the limits of requests.
        shared: Between how many instances the limits are divided, and how that is known.
    """

    dials: int
    dials_max: int
    dial_wait_ms: float = 0.0
    hold: Hold | None = None
    held_ms: float = 0.0
    holds: int = 0
    dials_total: int = 0
    requests: tuple[BucketReport, ...] = ()
    shared: str = ""

    @property
    def fullest(self) -> BucketReport | None:
        """The limit of requests of which most is used."""
        used = (each for each in self.requests if each.used)
        return max(used, key=lambda each: each.used / each.allowed, default=None)

    @property
    def dials_left(self) -> int:
        return max(0, self.dials_max - self.dials)

    @property
    def level(self) -> Level:
        """ORANGE while something is held, YELLOW while dials, or requests but for money, wait."""
        if self.hold is not None:
            return Level.ORANGE
        return Level.YELLOW if self.dials >= self.dials_max or self._is_full() else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """None for a long hold: its end is known."""
        return 0 if self.held_ms > SHORT_HOLD_MS else SHORT_HOLD_MS

    @property
    def sentence(self) -> str:
        used = f"{self.dials} of {self.dials_max} dials used in 5 minutes"
        fullest = self.fullest
        if self.hold is not None:
            return (
                f"no {self.hold.scope.held} for another {self.held_ms / 1000:.0f} s: "
                f"{self.hold.cause}; it ends by itself: stop other programs that use Binance "
                "from this address"
            )
        if self.dials >= self.dials_max:
            return (
                f"{used}, the next one is allowed in {self.dial_wait_ms / 1000:.0f} s: ws.lost on "
                "ops:events says why sockets end"
            )
        if fullest is not None and self._is_full():
            return (
                f"{fullest.used} of {fullest.allowed} of {fullest.limit.name} used, probes and "
                f"history wait: s1_rest_requests_total says who asks; {self.shared}"
            )
        requests = f"{fullest.used} of {fullest.allowed} of {fullest.limit.name}" if fullest else ""
        return "; ".join(filter(None, (used, requests, self.shared)))

    def _is_full(self) -> bool:
        fullest = self.fullest
        return fullest is not None and fullest.used >= fullest.allowed * Priority.PROBE.share


def skew_level(offset: ClockOffset | None) -> Level:
    """250 / 500 / 1000 ms -> GREEN / YELLOW / ORANGE, above RED, of the skew that is proven.

    Not GREEN where the error may be larger than GREEN allows, or nothing was measured yet.
    """
    if offset is None:
        return Level.YELLOW
    level = tier(_proven_skew_ms(offset), SKEW_GREEN_MS, SKEW_YELLOW_MS, SKEW_ORANGE_MS)
    return level if offset.bound_ms <= SKEW_GREEN_MS else max(level, Level.YELLOW)


def _proven_skew_ms(offset: ClockOffset | None) -> float:
    """The skew less the largest possible error of its measurement."""
    return 0.0 if offset is None else max(0.0, abs(offset.offset_ms) - offset.bound_ms)
