"""The built-in drills."""

from collections.abc import Sequence

from chimera_s1.app.cli.drill.drill import Drill, DrillThresholds, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.signs import (
    DroppedSign,
    LevelSign,
    OperationsSign,
    QuotesSign,
    StatusSign,
)
from chimera_s1.domain.errors import InvalidValueError

STALE_SYMBOL = "BTCUSDT"
_VENUES = ("spot", "perp")
_AGAIN = tuple((QuotesSign(venue),) for venue in _VENUES)
_GARBAGE = (
    "malformed:truncated", "malformed:json", "malformed:types", "malformed:event",
    "malformed:nan", "malformed:infinity", "malformed:binary", "malformed:utf8",
    "malformed:empty", "crossed", "zero", "negative", "duplicate", "reorder",
)  # fmt: skip
_WRONG_TIMES = ("late:60000", "future:60000")
"""Futures only: spot book tickers carry no event time."""


def _both(do: str, *, times: int | None = None, for_ms: int = 0) -> tuple[SimulatedFault, ...]:
    return tuple(SimulatedFault(f"ws:{venue}", do, times, for_ms) for venue in _VENUES)


def _blind_or_lost() -> tuple[tuple[StatusSign | OperationsSign, ...], ...]:
    return tuple(
        (StatusSign(venue, ("BLIND", "GAP")), OperationsSign(venue, "ws.lost")) for venue in _VENUES
    )


DRILLS = (
    Drill(
        "silent-socket",
        "every stream silent for 8 s, pings answered",
        _both("stall", for_ms=8_000),
        noticed_signs=_blind_or_lost(),
        over_signs=_AGAIN,
        targets=DrillThresholds(noticed_s=6, over_s=15, missing=15),
    ),
    Drill(
        "silent-symbol",
        f"one stream silent for 15 s: spot {STALE_SYMBOL}",
        (SimulatedFault(f"ws:spot:{STALE_SYMBOL.lower()}@bookTicker", "stall", for_ms=15_000),),
        noticed_signs=((StatusSign("spot", ("STALE",), STALE_SYMBOL),),),
        over_signs=((StatusSign("spot", ("LIVE",), STALE_SYMBOL),),),
        targets=DrillThresholds(noticed_s=10, over_s=20, missing=0, lost=0),
        affected_symbol=STALE_SYMBOL,
    ),
    Drill(
        "half-open",
        "sockets open, no data, no replies",
        _both("half-open"),
        noticed_signs=_blind_or_lost(),
        over_signs=_AGAIN,
        targets=DrillThresholds(noticed_s=6, over_s=10, missing=10),
    ),
    Drill(
        "disconnect",
        "sockets cut without a close frame",
        _both("disconnect"),
        noticed_signs=_blind_or_lost(),
        over_signs=_AGAIN,
        targets=DrillThresholds(noticed_s=1, over_s=3, missing=3),
    ),
    Drill(
        "server-gone",
        "sockets cut, new ones refused for 15 s",
        (*_both("refuse", for_ms=15_000), *_both("disconnect")),
        noticed_signs=_blind_or_lost(),
        over_signs=_AGAIN,
        targets=DrillThresholds(noticed_s=1, over_s=35, missing=35),
    ),
    Drill(
        "shutdown",
        "serverShutdown announced, sockets cut 2 s later",
        _both("shutdown"),
        noticed_signs=tuple((OperationsSign(venue, "ws.renewed"),) for venue in _VENUES),
        over_signs=_AGAIN,
        targets=DrillThresholds(over_s=10, missing=0, lost=0),
    ),
    Drill(
        "garbage",
        f"{len(_GARBAGE + _WRONG_TIMES)} kinds of malformed frames, 10 of each, and one of 5 MB",
        (
            *(fault for do in _GARBAGE for fault in _both(do, times=10)),
            *(SimulatedFault("ws:perp", do, 10) for do in _WRONG_TIMES),
            *_both("malformed:huge", times=1),
        ),
        noticed_signs=tuple((DroppedSign(venue),) for venue in _VENUES),
        over_signs=_AGAIN,
        targets=DrillThresholds(noticed_s=3, over_s=10, missing=5, lost=0),
    ),
    Drill(
        "storm",
        "50,000 updates/s for 10 s",
        (SimulatedFault("market", "storm:50000", for_ms=10_000),),
        noticed_signs=(),
        over_signs=_AGAIN,
        targets=DrillThresholds(missing=0, lost=0, late_ms=250),
    ),
    Drill(
        "redis-gone",
        "every Redis node shut down",
        (RedisFault.SHUTDOWN,),
        noticed_signs=((LevelSign("redis", ("YELLOW", "ORANGE", "RED")),),),
        over_signs=((QuotesSign(),),),
        targets=DrillThresholds(noticed_s=3, over_s=5, lost=0),
        over_from_recovery=True,
    ),
    Drill(
        "redis-slow",
        "every Redis node stops answering for 3 s",
        (RedisFault.PAUSE,),
        noticed_signs=((LevelSign("redis", ("YELLOW", "ORANGE", "RED")),),),
        over_signs=((QuotesSign(),),),
        targets=DrillThresholds(noticed_s=5, over_s=6, missing=5, lost=0),
    ),
    Drill(
        "clock-offset",
        "the exchange's clock 2 s ahead for 40 s",
        (SimulatedFault("clock", "offset:2000", for_ms=40_000),),
        noticed_signs=tuple((LevelSign(f"clock.{venue}", ("RED",)),) for venue in _VENUES),
        over_signs=tuple((LevelSign(f"clock.{venue}", ("GREEN",)),) for venue in _VENUES),
        # Wrong times are found out by the next clock sample only; a level is lowered 5 s later.
        targets=DrillThresholds(noticed_s=31, over_s=77, missing=2, lost=0, mistimed=2),
        age_max_ms=1_500,
    ),
)


def choose(names: Sequence[str]) -> tuple[Drill, ...]:
    """The drills called *names*, in that order; all of them without names.

    Raises:
        InvalidValueError: A name is unknown.
    """
    by_name = {drill.name: drill for drill in DRILLS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InvalidValueError(
            f"there is no drill {unknown[0]!r}; there are: {', '.join(by_name)}"
        )
    return tuple(by_name[name] for name in names) or DRILLS
