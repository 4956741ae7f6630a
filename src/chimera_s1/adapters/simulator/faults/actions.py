"""What an injected fault does: the control plane's `do`, parsed and checked."""

from http import HTTPStatus
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.kinds import (
    CLOCK_FAULTS,
    CONNECTION_FAULTS,
    FRAME_FAULTS,
    FUNDING_FAULTS,
    HANDSHAKE_FAULTS,
    LINK_FAULTS,
    LISTING_FAULTS,
    REQUEST_FAULTS,
    USER_CONNECTION_FAULTS,
    USER_EVENT_FAULTS,
    FaultKind,
)
from chimera_s1.adapters.simulator.faults.targets import (
    ConnectionTarget,
    GlobalTarget,
    RequestTarget,
    StreamTarget,
    Target,
    UserStreamTarget,
    VenueRequestsTarget,
)
from chimera_s1.domain.errors import InvalidValueError

BODIES = ("html", "empty", "truncated")
FUNDING_VARIANTS = ("unordered", "duplicated", "short", "mangled", "empty")
LISTING_VARIANTS = ("truncated", "empty", "half", "settling", "mangled", "huge")
UNAVAILABLE_VARIANTS = ("unknown", "service", "internal", "throttled")
MALFORMED_VARIANTS = (
    "truncated", "json", "types", "event", "nan", "infinity", "huge", "binary", "utf8", "empty",
)  # fmt: skip


class FaultAction(Struct, frozen=True):
    """A parsed `do`.

    Attributes:
        number: The number after the colon, for kinds that take one; else 0.
        variant: The word after the colon, for `body`, `listing`, `funding`, `unavailable` and
            `malformed`; else empty.
    """

    kind: FaultKind
    number: int = 0
    variant: str = ""


class _Number(Struct, frozen=True):
    placeholder: str
    lowest: int
    highest: int
    meaning: str


_DAY_MS = 86_400_000
_DELAY_MS = _Number("ms", 1, 600_000, "milliseconds")
_SHIFT_MS = _Number("ms", 1, _DAY_MS, "milliseconds")
_WAIT_S = _Number("s", 1, 259_200, "seconds")
_CLOSE_CODE = _Number("code", 1000, 4999, "a WebSocket close code")
_ERROR_STATUS = _Number("http", 400, 599, "an HTTP status")
_ERROR_CODE = _Number("binance code", -99_999, -1, "a Binance error code")
_NUMBERS = {
    FaultKind.DELAY: _DELAY_MS,
    FaultKind.STATUS: _ERROR_STATUS,
    FaultKind.CODE: _ERROR_CODE,
    FaultKind.EXECUTE_THEN_DELAY: _DELAY_MS,
    FaultKind.DROP_THEN_EXECUTE: _DELAY_MS,
    FaultKind.UNAVAILABLE_THEN_EXECUTE: _DELAY_MS,
    FaultKind.EXECUTE_THEN_STATUS: _ERROR_STATUS,
    FaultKind.EXECUTE_THEN_CODE: _ERROR_CODE,
    FaultKind.LATE: _SHIFT_MS,
    FaultKind.FUTURE: _SHIFT_MS,
    FaultKind.RATE_LIMIT: _WAIT_S,
    FaultKind.BAN: _WAIT_S,
    FaultKind.CLOSE: _CLOSE_CODE,
    FaultKind.CLOSE_AFTER_DATA: _CLOSE_CODE,
    FaultKind.SLOW: _Number("ms", 1, 60_000, "milliseconds"),
    FaultKind.TRICKLE: _Number("bytes/s", 1, 100_000_000, "bytes per second"),
    FaultKind.LATE_PONG: _DELAY_MS,
    FaultKind.REFUSE: _ERROR_STATUS,
    FaultKind.OFFSET: _Number("ms", -_DAY_MS, _DAY_MS, "milliseconds"),
    FaultKind.DRIFT: _Number("ms/s", -900, 100_000, "milliseconds per second"),
    FaultKind.STORM: _Number("updates/s", 1, 1_000_000, "updates per second"),
}
_VARIANTS = {
    FaultKind.BODY: BODIES,
    FaultKind.LISTING: LISTING_VARIANTS,
    FaultKind.FUNDING: FUNDING_VARIANTS,
    FaultKind.UNAVAILABLE: UNAVAILABLE_VARIANTS,
    FaultKind.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_VARIANTS,
    FaultKind.MALFORMED: MALFORMED_VARIANTS,
}
_DEFAULTS = {
    FaultKind.UNAVAILABLE: UNAVAILABLE_VARIANTS[0],
    FaultKind.EXECUTE_THEN_UNAVAILABLE: UNAVAILABLE_VARIANTS[0],
    FaultKind.MALFORMED: MALFORMED_VARIANTS[0],
    FaultKind.REFUSE: "503",
}
_HTTP_STATUSES = frozenset(status.value for status in HTTPStatus)


def parse_action(do: str, target: Target) -> FaultAction:
    """Parse the control plane's `do`.

    Raises:
        InvalidValueError: The word is unknown or cannot act on *target*, or its argument is
            missing or out of range.
    """
    word, colon, argument = do.partition(":")
    kind = _parse_kind(word, do, target)
    if not colon:
        argument = _DEFAULTS.get(kind, "")
    if kind in _VARIANTS:
        return FaultAction(kind, variant=_parse_variant(kind, do, argument))
    if kind in _NUMBERS:
        return FaultAction(kind, number=_parse_number(kind, do, argument))
    if colon:
        raise InvalidValueError(f"do: {do!r} takes nothing after the colon; write {word}")
    return FaultAction(kind)


def _parse_kind(word: str, do: str, target: Target) -> FaultKind:
    allowed, described = _allowed_kinds(target)
    if word not in allowed:
        forms = ", ".join(_form(kind) for kind in FaultKind if kind in allowed)
        raise InvalidValueError(f"do: {do!r} cannot act on {described}; write one of: {forms}")
    return FaultKind(word)


def _allowed_kinds(target: Target) -> tuple[frozenset[FaultKind], str]:
    match target:
        case RequestTarget() | VenueRequestsTarget():
            return REQUEST_FAULTS | _faults_of_rows(target), "a request"
        case StreamTarget():
            return _faults_of_streams(target)
        case UserStreamTarget():
            return _faults_of_user_streams(target)
        case ConnectionTarget():
            return USER_CONNECTION_FAULTS | LINK_FAULTS, "a connection"
        case GlobalTarget.CLOCK:
            return CLOCK_FAULTS, "the clock"
        case GlobalTarget.MARKET:
            return frozenset({FaultKind.STORM}), "the market"
        case _:
            assert_never(target)


def _faults_of_streams(target: StreamTarget) -> tuple[frozenset[FaultKind], str]:
    of_stream = FRAME_FAULTS | CONNECTION_FAULTS | LINK_FAULTS
    if target.stream:
        return of_stream, "a stream"
    return of_stream | HANDSHAKE_FAULTS, "a venue's streams"


def _faults_of_user_streams(target: UserStreamTarget) -> tuple[frozenset[FaultKind], str]:
    if target.event:
        return USER_EVENT_FAULTS, "an event of a user stream"
    of_connection = USER_CONNECTION_FAULTS | LINK_FAULTS | HANDSHAKE_FAULTS
    return USER_EVENT_FAULTS | of_connection, "a user stream"


def _faults_of_rows(target: RequestTarget | VenueRequestsTarget) -> frozenset[FaultKind]:
    if isinstance(target, RequestTarget):
        if target.is_listing:
            return LISTING_FAULTS
        if target.is_funding:
            return FUNDING_FAULTS
    return frozenset()


def _form(kind: FaultKind) -> str:
    """How *kind* is written: `close:<code>`, `body:html|empty|truncated`, `refuse[:<http>]`."""
    variants = "|".join(_VARIANTS.get(kind, ()))
    argument = f"<{_NUMBERS[kind].placeholder}>" if kind in _NUMBERS else variants
    if not argument:
        return kind.value
    return f"{kind.value}[:{argument}]" if kind in _DEFAULTS else f"{kind.value}:{argument}"


def _parse_variant(kind: FaultKind, do: str, argument: str) -> str:
    if argument not in _VARIANTS[kind]:
        raise InvalidValueError(f"do: {do!r} is none of {_form(kind)}")
    return argument


def _parse_number(kind: FaultKind, do: str, argument: str) -> int:
    number = _NUMBERS[kind]
    lowest, highest = number.lowest, number.highest
    digits = argument.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or not lowest <= int(argument) <= highest:
        raise InvalidValueError(
            f"do: {do!r} needs {number.meaning} from {lowest} to {highest}, "
            f"like {kind.value}:{highest}"
        )
    if kind is FaultKind.REFUSE and int(argument) not in _HTTP_STATUSES:
        raise InvalidValueError(
            f"do: {do!r} is not a known HTTP status; write one, like refuse:503"
        )
    return int(argument)
