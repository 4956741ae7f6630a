"""What an injected fault does, and the words that name it in the control plane."""

from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.targets import (
    ConnectionTarget,
    GlobalTarget,
    RestTarget,
    StreamTarget,
    Target,
    VenueRestTarget,
)
from chimera_s1.domain.errors import InvalidValueError


class FaultKind(StrEnum):
    """The word before the colon of `do`."""

    DROP_BEFORE = "drop-before"
    EXECUTE_THEN_DROP = "execute-then-drop"
    DELAY = "delay"
    STATUS = "status"
    CODE = "code"
    BODY = "body"
    UNAVAILABLE = "unavailable"
    EXECUTE_THEN_DELAY = "execute-then-delay"
    EXECUTE_THEN_STATUS = "execute-then-status"
    EXECUTE_THEN_CODE = "execute-then-code"
    EXECUTE_THEN_UNAVAILABLE = "execute-then-unavailable"
    STALL = "stall"
    MALFORMED = "malformed"
    GAP = "gap"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CROSSED = "crossed"
    ZERO = "zero"
    NEGATIVE = "negative"
    LATE = "late"
    FUTURE = "future"
    DISCONNECT = "disconnect"
    CLOSE = "close"
    SHUTDOWN = "shutdown"
    HALF_OPEN = "half-open"
    SLOW = "slow"
    TRICKLE = "trickle"
    REFUSE = "refuse"
    OFFSET = "offset"
    DRIFT = "drift"
    STORM = "storm"


REQUEST_FAULTS = frozenset(
    {
        FaultKind.DROP_BEFORE, FaultKind.EXECUTE_THEN_DROP, FaultKind.DELAY, FaultKind.STATUS, FaultKind.CODE, FaultKind.BODY,
        FaultKind.UNAVAILABLE, FaultKind.EXECUTE_THEN_DELAY, FaultKind.EXECUTE_THEN_STATUS,
        FaultKind.EXECUTE_THEN_CODE, FaultKind.EXECUTE_THEN_UNAVAILABLE,
    }
)  # fmt: skip
"""They happen to single requests. Before `body` and whatever begins with `execute-then`, the request
is executed; `delay` holds it up before, the others keep it from being executed.
"""

FRAME_FAULTS = frozenset(
    {
        FaultKind.STALL, FaultKind.MALFORMED, FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.CROSSED,
        FaultKind.ZERO, FaultKind.NEGATIVE, FaultKind.LATE, FaultKind.FUTURE,
    }
)  # fmt: skip
"""They change, repeat, exchange or withhold single frames."""

CONNECTION_FAULTS = frozenset(
    {FaultKind.DISCONNECT, FaultKind.CLOSE, FaultKind.SHUTDOWN, FaultKind.HALF_OPEN}
)
"""They happen to connections at one moment."""

LINK_FAULTS = frozenset({FaultKind.SLOW, FaultKind.TRICKLE})
"""They hold for what connections send as long as they last."""

LASTING_FAULTS = LINK_FAULTS | {FaultKind.STALL, FaultKind.OFFSET, FaultKind.DRIFT, FaultKind.STORM}
"""One event each, however much it touches; without a duration they last until they are cleared."""

BODIES = ("html", "empty", "truncated")
UNAVAILABLE_KINDS = ("unknown", "service", "internal", "throttled")
MALFORMED_KINDS = (
    "truncated", "json", "types", "event", "nan", "infinity", "huge", "binary", "utf8", "empty",
)  # fmt: skip

_VARIANTS = {
    FaultKind.BODY: BODIES,
    FaultKind.UNAVAILABLE: UNAVAILABLE_KINDS,
    FaultKind.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_KINDS,
    FaultKind.MALFORMED: MALFORMED_KINDS,
}
_DEFAULTS = {
    FaultKind.UNAVAILABLE: UNAVAILABLE_KINDS[0],
    FaultKind.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_KINDS[0],
    FaultKind.MALFORMED: MALFORMED_KINDS[0],
    FaultKind.REFUSE: "503",
}
_HTTP_STATUSES = frozenset(status.value for status in HTTPStatus)
_DAY_MS = 86_400_000
_DELAY_MS = ("ms", 1, 600_000, "milliseconds")
_ERROR_STATUS = ("http", 400, 599, "an HTTP status")
_ERROR_CODE = ("binance code", -99_999, -1, "a Binance error code")
_NUMBERS = {
    FaultKind.DELAY: _DELAY_MS,
    FaultKind.STATUS: _ERROR_STATUS,
    FaultKind.CODE: _ERROR_CODE,
    FaultKind.EXECUTE_THEN_DELAY: _DELAY_MS,
    FaultKind.EXECUTE_THEN_STATUS: _ERROR_STATUS,
    FaultKind.EXECUTE_THEN_CODE: _ERROR_CODE,
    FaultKind.LATE: ("ms", 1, _DAY_MS, "milliseconds"),
    FaultKind.FUTURE: ("ms", 1, _DAY_MS, "milliseconds"),
    FaultKind.CLOSE: ("code", 1000, 4999, "a WebSocket close code"),
    FaultKind.SLOW: ("ms", 1, 60_000, "milliseconds"),
    FaultKind.TRICKLE: ("bytes/s", 1, 100_000_000, "bytes per second"),
    FaultKind.REFUSE: _ERROR_STATUS,
    FaultKind.OFFSET: ("ms", -_DAY_MS, _DAY_MS, "milliseconds"),
    FaultKind.DRIFT: ("ms/s", -900, 100_000, "milliseconds per second"),
    FaultKind.STORM: ("updates/s", 1, 1_000_000, "updates per second"),
}


class FaultAction(Struct, frozen=True):
    """A parsed `do`.

    Attributes:
        number: What follows the colon where that is a number; else 0.
        variant: Of body, unavailable and malformed.
    """

    kind: FaultKind
    number: int = 0
    variant: str = ""


def parse_action(do: str, target: Target) -> FaultAction:
    """Read the control plane's `do`.

    Raises:
        InvalidValueError: Unknown word, missing or impossible number, or it cannot happen to
            *target*.
    """
    allowed, what = _possible(target)
    word, colon, argument = do.partition(":")
    if word not in {kind.value for kind in allowed}:
        words = ", ".join(_form(kind) for kind in FaultKind if kind in allowed)
        raise InvalidValueError(f"do: {do!r} cannot be done to {what}; write one of: {words}")
    kind = FaultKind(word)
    if not colon:
        argument = _DEFAULTS.get(kind, "")
    if kind in _VARIANTS:
        return FaultAction(kind, variant=_variant(kind, do, argument))
    if kind in _NUMBERS:
        return FaultAction(kind, number=_number(kind, do, argument))
    if colon:
        raise InvalidValueError(f"do: {do!r} takes nothing after the colon; write {word}")
    return FaultAction(kind)


def _possible(target: Target) -> tuple[frozenset[FaultKind], str]:
    match target:
        case RestTarget() | VenueRestTarget():
            return REQUEST_FAULTS, "a request"
        case StreamTarget(stream=""):
            return FRAME_FAULTS | CONNECTION_FAULTS | LINK_FAULTS | {
                FaultKind.REFUSE
            }, "a venue's streams"
        case StreamTarget():
            return FRAME_FAULTS | CONNECTION_FAULTS | LINK_FAULTS, "a stream"
        case ConnectionTarget():
            return CONNECTION_FAULTS | LINK_FAULTS, "a connection"
        case GlobalTarget.CLOCK:
            return frozenset({FaultKind.OFFSET, FaultKind.DRIFT}), "the clock"
        case GlobalTarget.MARKET:
            return frozenset({FaultKind.STORM}), "the market"
        case _:
            assert_never(target)


def _form(kind: FaultKind) -> str:
    """How *kind* is written: `close:<code>`, `body:html|empty|truncated`, `refuse[:<http>]`."""
    argument = f"<{_NUMBERS[kind][0]}>" if kind in _NUMBERS else "|".join(_VARIANTS.get(kind, ()))
    if not argument:
        return kind.value
    return f"{kind.value}[:{argument}]" if kind in _DEFAULTS else f"{kind.value}:{argument}"


def _variant(kind: FaultKind, do: str, argument: str) -> str:
    if argument not in _VARIANTS[kind]:
        raise InvalidValueError(f"do: {do!r} is none of {_form(kind)}")
    return argument


def _number(kind: FaultKind, do: str, argument: str) -> int:
    _, lowest, highest, what = _NUMBERS[kind]
    digits = argument.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or not lowest <= int(argument) <= highest:
        raise InvalidValueError(
            f"do: {do!r} needs {what} from {lowest} to {highest}, like {kind.value}:{highest}"
        )
    if kind is FaultKind.REFUSE and int(argument) not in _HTTP_STATUSES:
        raise InvalidValueError(f"do: {do!r} names no HTTP status that exists, like refuse:503")
    return int(argument)
