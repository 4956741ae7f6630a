"""Health: what each component reports, and the one table that turns reports into levels."""

from collections.abc import Iterable
from enum import IntEnum
from typing import assert_never

from msgspec import Struct

SKEW_GREEN_MS = 250
SKEW_YELLOW_MS = 500
SKEW_ORANGE_MS = 1000

P_UP_GREEN = 0.95
P_UP_YELLOW = 0.5

LAG_GREEN_MS = 100
LAG_YELLOW_MS = 500
LAG_ORANGE_MS = 2000

UNRESOLVED_GREEN_MS = 60_000


class Level(IntEnum):
    """How much a component can be trusted; a higher number is worse."""

    GREEN = 0
    YELLOW = 1
    ORANGE = 2
    RED = 3


class FeedReport(Struct, frozen=True, tag="feed"):
    """A venue's market data.

    Attributes:
        instruments: Subscribed; None until the venue's listing was read.

        unlisted: Names the user gave that the venue does not list.

        connections: Wanted.

        delivering: Connections that are open, answer pings and have delivered a first message.

        fatal: A connection is out of retries.
    """

    instruments: int | None
    unlisted: tuple[str, ...]
    connections: int
    delivering: int
    fatal: bool


class StreamStoreReport(Struct, frozen=True, tag="streams"):
    """The stream store (Redis Cluster).

    Attributes:
        reachable: The last write or ping was acknowledged.

        pending: Quotes that wait for a node to come back; newest per instrument.

        merging_windows: True while windows are merged because writing is slower than the window.

        cause: What the last failure said; empty while reachable.
    """

    reachable: bool
    pending: int
    merging_windows: bool
    cause: str


class ClockReport(Struct, frozen=True, tag="clock"):
    """Our clock against a venue's; see `ClockSkew`."""

    offset_ms: float | None
    p_up: float


class LoopReport(Struct, frozen=True, tag="loop"):
    """The event loop.

    Attributes:
        lag_ms: The longest delay of a due wake-up in the last seconds, ms.
    """

    lag_ms: float


class MarketReport(Struct, frozen=True, tag="market"):
    """A venue's instruments by liveness; see `domain.market.liveness`."""

    live: int
    quiet: int
    stale: int
    blind: int


class TreasuryReport(Struct, frozen=True, tag="treasury"):
    """What moves money, and the ledger it stands on.

    Attributes:
        ledger_damage: What is wrong with the ledger; empty while nothing is.

        store_error: Why its store cannot be used now; empty while it can.

        relay_error: Why events do not reach `ops:events`; empty while they do.

        key_problem: What is wrong with the exchange key; empty while nothing is known to be.

        kill_switch_on: It is on, or its position was never read.

        kill_switch_error: Why its position may be an old one; empty while it is not.

        waiting: Transfers accepted and not sent.

        unresolved: Transfers that may have moved money.

        oldest_unresolved_ms: For how long the oldest of them has been so.

        in_review: Transfers that wait for an operator.
    """

    ledger_damage: str
    store_error: str
    relay_error: str
    key_problem: str
    kill_switch_on: bool
    kill_switch_error: str
    waiting: int
    unresolved: int
    oldest_unresolved_ms: int
    in_review: int


HealthReport = (
    FeedReport | StreamStoreReport | ClockReport | LoopReport | MarketReport | TreasuryReport
)


class HealthComponent(Struct, frozen=True):
    """One line of `/health`.

    Attributes:
        name: `feed.spot`, `redis`, `clock.perp`, `loop`.

        level: Now.

        since: When the level became this, local epoch ms.

        detail: For people: what is so, in one sentence.

        required: RED makes `/ready` answer 503.
    """

    name: str
    level: Level
    since: int
    detail: str
    required: bool


def report_level(report: HealthReport) -> Level:
    """The table of what makes which level.

    | report | YELLOW | ORANGE | RED |
    |---|---|---|---|
    | feed | a named symbol is unknown | some sockets deliver | none does, FATAL, no listing |
    | streams | windows are merged | quotes wait for a node | not reachable |
    | clock | skew > 250 ms or unmeasured, p_up < 0.95 | > 500 ms, p_up < 0.5 | > 1000 ms |
    | loop | lag > 100 ms | lag > 500 ms | lag > 2000 ms |
    | market | | some are STALE or BLIND | none is LIVE or QUIET |
    | treasury | kill switch on, unread | unknown for 60 s, in review, relay, key | store, damage |
    """
    match report:
        case FeedReport():
            return _feed_level(report)
        case StreamStoreReport():
            return _streams_level(report)
        case ClockReport(offset_ms=offset_ms, p_up=p_up):
            return max(skew_level(offset_ms), _level_for(-p_up, -P_UP_GREEN, -P_UP_YELLOW, 0.0))
        case LoopReport(lag_ms=lag_ms):
            return _level_for(lag_ms, LAG_GREEN_MS, LAG_YELLOW_MS, LAG_ORANGE_MS)
        case MarketReport():
            return _market_level(report)
        case TreasuryReport():
            return _treasury_level(report)
        case _:
            assert_never(report)


def skew_level(offset_ms: float | None) -> Level:
    """The tier of `|offset|`: 250 / 500 / 1000 ms -> GREEN / YELLOW / ORANGE, above RED.

    An offset never measured is YELLOW: nothing is known to be wrong, nothing is known to be right.
    """
    if offset_ms is None:
        return Level.YELLOW
    return _level_for(abs(offset_ms), SKEW_GREEN_MS, SKEW_YELLOW_MS, SKEW_ORANGE_MS)


def overall_level(components: Iterable[HealthComponent]) -> Level:
    """The worst level of all; GREEN where there is no component."""
    return max((component.level for component in components), default=Level.GREEN)


def is_ready(components: Iterable[HealthComponent]) -> bool:
    """True while no required component is RED."""
    return not any(component.required and component.level is Level.RED for component in components)


def _feed_level(report: FeedReport) -> Level:
    if report.instruments is None or report.fatal:
        return Level.RED
    if report.connections and not report.delivering:
        return Level.RED
    if report.delivering < report.connections:
        return Level.ORANGE
    return Level.YELLOW if report.unlisted else Level.GREEN


def _streams_level(report: StreamStoreReport) -> Level:
    if not report.reachable:
        return Level.RED
    if report.pending:
        return Level.ORANGE
    return Level.YELLOW if report.merging_windows else Level.GREEN


def _market_level(report: MarketReport) -> Level:
    if not report.stale and not report.blind:
        return Level.GREEN
    return Level.ORANGE if report.live or report.quiet else Level.RED


def _treasury_level(report: TreasuryReport) -> Level:
    if report.ledger_damage or report.store_error:
        return Level.RED
    unknown_for_long = report.oldest_unresolved_ms > UNRESOLVED_GREEN_MS
    if unknown_for_long or report.in_review or report.relay_error or report.key_problem:
        return Level.ORANGE
    switched = report.kill_switch_on or report.kill_switch_error
    return Level.YELLOW if switched else Level.GREEN


def _level_for(value: float, green: float, yellow: float, orange: float) -> Level:
    if value <= green:
        return Level.GREEN
    if value <= yellow:
        return Level.YELLOW
    return Level.ORANGE if value <= orange else Level.RED
