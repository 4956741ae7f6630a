"""The kinds of faults the control plane can inject, grouped by what they act on."""

from enum import StrEnum


class FaultKind(StrEnum):
    """The word before the colon of `do`."""

    DROP_BEFORE = "drop-before"
    EXECUTE_THEN_DROP = "execute-then-drop"
    DELAY = "delay"
    STATUS = "status"
    CODE = "code"
    BODY = "body"
    LISTING = "listing"
    FUNDING = "funding"
    UNAVAILABLE = "unavailable"
    RATE_LIMIT = "rate-limit"
    BAN = "ban"
    EXECUTE_THEN_DELAY = "execute-then-delay"
    EXECUTE_THEN_STATUS = "execute-then-status"
    EXECUTE_THEN_CODE = "execute-then-code"
    EXECUTE_THEN_UNAVAILABLE = "execute-then-unavailable"
    DROP_THEN_EXECUTE = "drop-then-execute"
    UNAVAILABLE_THEN_EXECUTE = "unavailable-then-execute"
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
    CLOSE_AFTER_DATA = "close-after-data"
    SHUTDOWN = "shutdown"
    HALF_OPEN = "half-open"
    SILENT = "silent"
    END_SUBSCRIPTION = "end-subscription"
    SLOW = "slow"
    TRICKLE = "trickle"
    LATE_PONG = "late-pong"
    REFUSE = "refuse"
    OFFSET = "offset"
    DRIFT = "drift"
    STORM = "storm"


REQUEST_FAULTS = frozenset(
    {
        FaultKind.DROP_BEFORE,
        FaultKind.EXECUTE_THEN_DROP,
        FaultKind.DELAY,
        FaultKind.STATUS,
        FaultKind.CODE,
        FaultKind.BODY,
        FaultKind.UNAVAILABLE,
        FaultKind.RATE_LIMIT,
        FaultKind.BAN,
        FaultKind.EXECUTE_THEN_DELAY,
        FaultKind.EXECUTE_THEN_STATUS,
        FaultKind.EXECUTE_THEN_CODE,
        FaultKind.EXECUTE_THEN_UNAVAILABLE,
        FaultKind.DROP_THEN_EXECUTE,
        FaultKind.UNAVAILABLE_THEN_EXECUTE,
    }
)
"""Act on single requests.

`body` and every `execute-then-*` spoil the reply of an executed request, `delay` holds the request
up before it is executed, `*-then-execute` end it without a result and execute it later; under the
others it is not executed.
"""

LISTING_FAULTS = frozenset({FaultKind.LISTING})
"""Change what an executed `exchangeInfo` request lists."""

FUNDING_FAULTS = frozenset({FaultKind.FUNDING})
"""Change what an executed `fundingRate` or `income` request has."""

FRAME_FAULTS = frozenset(
    {
        FaultKind.STALL,
        FaultKind.MALFORMED,
        FaultKind.GAP,
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.CROSSED,
        FaultKind.ZERO,
        FaultKind.NEGATIVE,
        FaultKind.LATE,
        FaultKind.FUTURE,
    }
)
"""Change, repeat, reorder or drop single frames."""

CONNECTION_FAULTS = frozenset(
    {
        FaultKind.DISCONNECT,
        FaultKind.CLOSE,
        FaultKind.CLOSE_AFTER_DATA,
        FaultKind.SHUTDOWN,
        FaultKind.HALF_OPEN,
    }
)
"""Act on open connections at one moment."""

HANDSHAKE_FAULTS = frozenset({FaultKind.REFUSE, FaultKind.RATE_LIMIT, FaultKind.BAN})
"""Refuse new connections."""

USER_EVENT_FAULTS = frozenset(
    {
        FaultKind.STALL,
        FaultKind.MALFORMED,
        FaultKind.GAP,
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.DELAY,
        FaultKind.LATE,
        FaultKind.FUTURE,
    }
)
"""Change, repeat, reorder, drop or delay single events of a user stream."""

USER_CONNECTION_FAULTS = CONNECTION_FAULTS | {FaultKind.SILENT, FaultKind.END_SUBSCRIPTION}
"""Act on open connections of a user stream at one moment."""

LINK_FAULTS = frozenset({FaultKind.SLOW, FaultKind.TRICKLE, FaultKind.LATE_PONG})
"""Slow down what open connections send, or only their pongs, while they last."""

CLOCK_FAULTS = frozenset({FaultKind.OFFSET, FaultKind.DRIFT})

LASTING_FAULTS = LINK_FAULTS | CLOCK_FAULTS | {FaultKind.STALL, FaultKind.STORM}
"""Count as one event for as long as they last; without a duration they last until cleared."""
