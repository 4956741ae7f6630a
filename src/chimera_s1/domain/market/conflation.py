"""Conflation windows, aligned to the wall second: each second boundary is a window boundary."""

from typing import NewType

from chimera_s1.domain.errors import InvalidValueError

WindowMs = NewType("WindowMs", int)
"""Width of a conflation window: 0 (every update is published) or 50 to 1000 ms."""

EVERY_UPDATE = WindowMs(0)

WINDOW_MS_MIN = 50
WINDOW_MS_MAX = 1000
_SECOND_MS = 1000


def parse_window(value: int) -> WindowMs:
    """*value* as a window width, ms.

    Raises:
        InvalidValueError: *value* is neither 0 nor 50 to 1000.
    """
    if value != 0 and not WINDOW_MS_MIN <= value <= WINDOW_MS_MAX:
        raise InvalidValueError(
            f"{value} is not a conflation window; write 0 (every update) or 50 to 1000 ms"
        )
    return WindowMs(value)


def window_start(moment_ms: int, window: WindowMs) -> int:
    """Start of the window that holds *moment_ms*, epoch ms."""
    if window == 0:
        return moment_ms
    second = moment_ms // _SECOND_MS * _SECOND_MS
    return second + (moment_ms - second) // window * window


def window_end(moment_ms: int, window: WindowMs) -> int:
    """Exclusive end of the window that holds *moment_ms*, epoch ms; window 0 ends 1 ms later."""
    if window == 0:
        return moment_ms + 1
    second = moment_ms // _SECOND_MS * _SECOND_MS
    elapsed = moment_ms - second
    return second + min((elapsed // window + 1) * window, _SECOND_MS)
