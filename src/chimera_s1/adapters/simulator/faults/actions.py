"""
What an injected fault does, and the words that name it in the control plane.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.targets import (
    ConnectionTarget,
    RestTarget,
    StreamTarget,
    Target,
    VenueRestTarget,
    World,
)
from chimera_s1.domain.errors import InvalidValueError


class Deed(StrEnum):
    """
    The word before the colon of `do`.
    """

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


REST_DEEDS = frozenset(
    {
        Deed.DROP_BEFORE, Deed.EXECUTE_THEN_DROP, Deed.DELAY, Deed.STATUS, Deed.CODE, Deed.BODY,
        Deed.UNAVAILABLE, Deed.EXECUTE_THEN_DELAY, Deed.EXECUTE_THEN_STATUS,
        Deed.EXECUTE_THEN_CODE, Deed.EXECUTE_THEN_UNAVAILABLE,
    }
)  # fmt: skip
"""
They happen to single requests. Before `body` and whatever begins with `execute-then`, the request
is executed; `delay` holds it up before, the others keep it from being executed.
"""

FRAME_DEEDS = frozenset(
    {
        Deed.STALL, Deed.MALFORMED, Deed.GAP, Deed.DUPLICATE, Deed.REORDER, Deed.CROSSED,
        Deed.ZERO, Deed.NEGATIVE, Deed.LATE, Deed.FUTURE,
    }
)  # fmt: skip
"""
They change, repeat, exchange or withhold single frames.
"""

STRIKE_DEEDS = frozenset({Deed.DISCONNECT, Deed.CLOSE, Deed.SHUTDOWN, Deed.HALF_OPEN})
"""
They happen to connections at one moment.
"""

LINE_DEEDS = frozenset({Deed.SLOW, Deed.TRICKLE})
"""
They hold for what connections send as long as they last.
"""

LASTING_DEEDS = LINE_DEEDS | {Deed.STALL, Deed.OFFSET, Deed.DRIFT, Deed.STORM}
"""
One event each, however much it touches; without a duration they last until they are cleared.
"""

BODIES = ("html", "empty", "truncated")
UNAVAILABLE_KINDS = ("unknown", "service", "internal", "throttled")
MALFORMED_KINDS = (
    "truncated", "json", "types", "event", "nan", "infinity", "huge", "binary", "utf8", "empty",
)  # fmt: skip

_CHOICES = {
    Deed.BODY: BODIES,
    Deed.UNAVAILABLE: UNAVAILABLE_KINDS,
    Deed.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_KINDS,
    Deed.MALFORMED: MALFORMED_KINDS,
}
_PRESET = {
    Deed.UNAVAILABLE: UNAVAILABLE_KINDS[0],
    Deed.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_KINDS[0],
    Deed.MALFORMED: MALFORMED_KINDS[0],
    Deed.REFUSE: "503",
}
_HTTP_STATUSES = frozenset(status.value for status in HTTPStatus)
_DAY_MS = 86_400_000
_DELAY_MS = ("ms", 1, 600_000, "milliseconds")
_ERROR_STATUS = ("http", 400, 599, "an HTTP status")
_ERROR_CODE = ("binance code", -99_999, -1, "a Binance error code")
_NUMBERS = {
    Deed.DELAY: _DELAY_MS,
    Deed.STATUS: _ERROR_STATUS,
    Deed.CODE: _ERROR_CODE,
    Deed.EXECUTE_THEN_DELAY: _DELAY_MS,
    Deed.EXECUTE_THEN_STATUS: _ERROR_STATUS,
    Deed.EXECUTE_THEN_CODE: _ERROR_CODE,
    Deed.LATE: ("ms", 1, _DAY_MS, "milliseconds"),
    Deed.FUTURE: ("ms", 1, _DAY_MS, "milliseconds"),
    Deed.CLOSE: ("code", 1000, 4999, "a WebSocket close code"),
    Deed.SLOW: ("ms", 1, 60_000, "milliseconds"),
    Deed.TRICKLE: ("bytes/s", 1, 100_000_000, "bytes per second"),
    Deed.REFUSE: _ERROR_STATUS,
    Deed.OFFSET: ("ms", -_DAY_MS, _DAY_MS, "milliseconds"),
    Deed.DRIFT: ("ms/s", -900, 100_000, "milliseconds per second"),
    Deed.STORM: ("updates/s", 1, 1_000_000, "updates per second"),
}


class Action(Struct, frozen=True):
    """
    A parsed `do`.

    Attributes:
        number: What follows the colon where that is a number; else 0.

        choice: Of body, unavailable and malformed.
    """

    deed: Deed
    number: int = 0
    choice: str = ""


def parse_action(do: str, target: Target) -> Action:
    """
    Read the control plane's `do`.

    Raises:
        InvalidValueError: Unknown word, missing or impossible number, or it cannot happen to
            *target*.
    """
    allowed, what = _possible(target)
    word, colon, argument = do.partition(":")
    if word not in {deed.value for deed in allowed}:
        words = ", ".join(_form(deed) for deed in Deed if deed in allowed)
        raise InvalidValueError(f"do: {do!r} cannot be done to {what}; write one of: {words}")
    deed = Deed(word)
    if not colon:
        argument = _PRESET.get(deed, "")
    if deed in _CHOICES:
        return Action(deed, choice=_choice(deed, do, argument))
    if deed in _NUMBERS:
        return Action(deed, number=_number(deed, do, argument))
    if colon:
        raise InvalidValueError(f"do: {do!r} takes nothing after the colon; write {word}")
    return Action(deed)


def _possible(target: Target) -> tuple[frozenset[Deed], str]:
    match target:
        case RestTarget() | VenueRestTarget():
            return REST_DEEDS, "a request"
        case StreamTarget(stream=""):
            return FRAME_DEEDS | STRIKE_DEEDS | LINE_DEEDS | {Deed.REFUSE}, "a venue's streams"
        case StreamTarget():
            return FRAME_DEEDS | STRIKE_DEEDS | LINE_DEEDS, "a stream"
        case ConnectionTarget():
            return STRIKE_DEEDS | LINE_DEEDS, "a connection"
        case World.CLOCK:
            return frozenset({Deed.OFFSET, Deed.DRIFT}), "the clock"
        case World.MARKET:
            return frozenset({Deed.STORM}), "the market"
        case _:
            assert_never(target)


def _form(deed: Deed) -> str:
    """
    How *deed* is written: `close:<code>`, `body:html|empty|truncated`, `refuse[:<http>]`.
    """
    argument = f"<{_NUMBERS[deed][0]}>" if deed in _NUMBERS else "|".join(_CHOICES.get(deed, ()))
    if not argument:
        return deed.value
    return f"{deed.value}[:{argument}]" if deed in _PRESET else f"{deed.value}:{argument}"


def _choice(deed: Deed, do: str, argument: str) -> str:
    if argument not in _CHOICES[deed]:
        raise InvalidValueError(f"do: {do!r} is none of {_form(deed)}")
    return argument


def _number(deed: Deed, do: str, argument: str) -> int:
    _, lowest, highest, what = _NUMBERS[deed]
    digits = argument.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or not lowest <= int(argument) <= highest:
        raise InvalidValueError(
            f"do: {do!r} needs {what} from {lowest} to {highest}, like {deed.value}:{highest}"
        )
    if deed is Deed.REFUSE and int(argument) not in _HTTP_STATUSES:
        raise InvalidValueError(f"do: {do!r} names no HTTP status that exists, like refuse:503")
    return int(argument)
