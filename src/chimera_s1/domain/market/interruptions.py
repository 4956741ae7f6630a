"""Interruptions of a connection, and their markers GAP and RESUMED."""

from collections.abc import Callable, Iterator

from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange

LAST_FRAMES_MS = 1_200
"""Wait after a loss for frames already received; longer than the widest conflation window."""


class Interruption:
    """From the last frame before a loss to the first frame after it.

    RESUMED repeats `announced_since_ms` (epoch ms) of its GAP, so that readers can match the two.
    """

    __slots__ = ("announced_since_ms", "cause", "lost_ms", "resumed_ms", "since_ms")

    def __init__(self, cause: str, since_ms: float, lost_ms: float) -> None:
        self.cause = cause
        self.since_ms = since_ms
        self.lost_ms = lost_ms
        self.resumed_ms: float | None = None
        self.announced_since_ms: int | None = None


def take_markers(
    interruptions: list[Interruption], now_ms: float, to_wall: Callable[[float], int]
) -> Iterator[StatusChange]:
    """GAP once the last frames before the loss were counted; RESUMED after the reconnect, which
    removes the interruption.
    """
    for interruption in list(interruptions):
        if now_ms - interruption.lost_ms < LAST_FRAMES_MS:
            break
        if interruption.announced_since_ms is None:
            since = interruption.announced_since_ms = to_wall(interruption.since_ms)
            lost = to_wall(interruption.lost_ms)
            yield StatusChange(lost, WHOLE_CONNECTION, Liveness.GAP, since, interruption.cause)
        if interruption.resumed_ms is None:
            break
        since, resumed = interruption.announced_since_ms, to_wall(interruption.resumed_ms)
        yield StatusChange(resumed, WHOLE_CONNECTION, Liveness.RESUMED, since, interruption.cause)
        interruptions.remove(interruption)
