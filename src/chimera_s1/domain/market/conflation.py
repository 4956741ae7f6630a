"""Conflation: which window a moment is in, and when that window closes.

Windows start anew at every wall second, so that a 1000 ms window is the wall second itself and
every second boundary is a window boundary whatever the width.
"""

from typing import NewType

from chimera_s1.domain.errors import InvalidValueError

WindowMs = NewType("WindowMs", int)
"""Width of a conflation window: 0 (every update is published) or 50 to 1000 ms."""

WINDOW_MS_MIN = 50
WINDOW_MS_MAX = 1000
_SECOND_MS = 1000


def parse_window(value: int) -> WindowMs:
    """Accept *value* as a window width in ms.

    Raises:
        InvalidValueError: It is neither 0 nor within 50 to 1000.
    """
    if value != 0 and not WINDOW_MS_MIN <= value <= WINDOW_MS_MAX:
        raise InvalidValueError(
            f"{value} is not a conflation window; write 0 (every update) or 50 to 1000 ms"
        )
    return WindowMs(value)


def window_end(moment_ms: int, window: WindowMs) -> int:
    """When the window that holds *moment_ms* closes, epoch ms, exclusive: always after the moment.

    With window 0 every moment is a window of its own.
    """
    if window == 0:
        return moment_ms + 1
    second = moment_ms // _SECOND_MS * _SECOND_MS
    elapsed = moment_ms - second
    return second + min((elapsed // window + 1) * window, _SECOND_MS)
