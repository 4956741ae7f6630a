"""
What an injected fault does, and the words that name it in the control plane.
"""

import re
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


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
    STALL = "stall"
    DISCONNECT = "disconnect"
    CLOSE = "close"
    SHUTDOWN = "shutdown"
    MALFORMED = "malformed"
    GAP = "gap"
    DUPLICATE = "duplicate"
    CROSSED = "crossed"


CONNECTION_DEEDS = frozenset({Deed.DISCONNECT, Deed.CLOSE, Deed.SHUTDOWN})
"""
They end connections.
"""

FRAME_DEEDS = frozenset({Deed.STALL, Deed.MALFORMED, Deed.GAP, Deed.DUPLICATE, Deed.CROSSED})
"""
They change, repeat or withhold single frames.
"""

STREAM_DEEDS = CONNECTION_DEEDS | FRAME_DEEDS
REST_DEEDS = frozenset(Deed) - STREAM_DEEDS

_REST_WORDS = (
    "drop-before, execute-then-drop, delay:<ms>, status:<http>, code:<binance code>, "
    "body:html|empty|truncated"
)
_STREAM_WORDS = "stall, disconnect, close:<code>, shutdown, malformed, gap, duplicate, crossed"
_NUMBERS = {
    Deed.DELAY: (1, 600_000, "milliseconds"),
    Deed.STATUS: (400, 599, "an HTTP status"),
    Deed.CODE: (-99_999, -1, "a Binance error code"),
    Deed.CLOSE: (1000, 4999, "a WebSocket close code"),
}
BODIES = ("html", "empty", "truncated")
_REST_TARGET = re.compile(r"(GET|POST|PUT|DELETE) /[^\s?]*")


class Action(Struct, frozen=True):
    """
    A parsed `do`.

    Attributes:
        number: Of delay (ms), status, code and close; else 0.

        body: Of body.
    """

    deed: Deed
    number: int = 0
    body: str = ""


class RestTarget(Struct, frozen=True):
    """
    `GET /fapi/v1/time`: requests with this method and path, query left out.
    """

    method: str
    path: str


class StreamTarget(Struct, frozen=True):
    """
    `ws:perp` or `ws:perp:<stream>`; an empty stream is all of the venue.
    """

    venue: Venue
    stream: str = ""

    def covers(self, venue: Venue, stream: str) -> bool:
        """
        Whether a frame of *stream* is meant.
        """
        return self.venue is venue and self.stream in {"", stream}


Target = RestTarget | StreamTarget


def parse_target(on: str) -> Target:
    """
    Read the control plane's `on`.

    Raises:
        InvalidValueError: It is neither a request nor a stream.
    """
    if _REST_TARGET.fullmatch(on):
        method, _, path = on.partition(" ")
        return RestTarget(method, path)
    match on.split(":", 2):
        case ["ws", ("spot" | "perp") as venue]:
            return StreamTarget(Venue(venue))
        case ["ws", ("spot" | "perp") as venue, stream] if stream:
            return StreamTarget(Venue(venue), stream)
        case _:
            raise InvalidValueError(
                f"on: {on!r} is no target; write a request (GET /fapi/v1/time, without a query), "
                "ws:spot, ws:perp, or one stream (ws:perp:btcusdt@bookTicker)"
            )


def parse_action(do: str, target: Target) -> Action:
    """
    Read the control plane's `do`.

    Raises:
        InvalidValueError: Unknown word, missing or impossible number, or it cannot happen to
            *target*.
    """
    allowed, words, what = (
        (REST_DEEDS, _REST_WORDS, "a request")
        if isinstance(target, RestTarget)
        else (STREAM_DEEDS, _STREAM_WORDS, "a stream")
    )
    word, _, argument = do.partition(":")
    if word not in {deed.value for deed in allowed}:
        raise InvalidValueError(f"do: {do!r} cannot be done to {what}; write one of: {words}")
    deed = Deed(word)
    if deed is Deed.BODY:
        return _body(do, argument)
    if deed in _NUMBERS:
        return Action(deed, number=_number(deed, do, argument))
    if argument:
        raise InvalidValueError(f"do: {do!r} takes nothing after the colon; write {word}")
    return Action(deed)


def _body(do: str, argument: str) -> Action:
    if argument not in BODIES:
        raise InvalidValueError(f"do: {do!r} names no body; write body:html|empty|truncated")
    return Action(Deed.BODY, body=argument)


def _number(deed: Deed, do: str, argument: str) -> int:
    lowest, highest, what = _NUMBERS[deed]
    digits = argument.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or not lowest <= int(argument) <= highest:
        raise InvalidValueError(
            f"do: {do!r} needs {what} from {lowest} to {highest}, like {deed.value}:{highest}"
        )
    return int(argument)
