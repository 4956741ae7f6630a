"""What can be seen of a service from outside. All moments are local epoch ms."""

from msgspec import Struct

WINDOW_MS = 1_000
"""What the drills count in, and the longest window there is."""


class ObservedQuote(Struct, frozen=True, gc=False):
    """One entry of a quote stream.

    Attributes:
        at_ms: When it was written.
    """

    at_ms: int
    ts: int
    bid: float
    ask: float
    mid: float
    spread_bps: float
    top1_qty: float
    top1_usdt: float


class ObservedStatus(Struct, frozen=True):
    """One entry of a status stream."""

    at_ms: int
    venue: str
    symbol: str
    state: str
    cause: str


class ObservedOperation(Struct, frozen=True):
    """One entry of `ops:events` about a connection."""

    at_ms: int
    kind: str
    venue: str
    detail: str


class ObservedHealth(Struct, frozen=True):
    """One look at `/health` and at the dropped frames in `/metrics`, by venue."""

    at_ms: int
    ready: bool
    levels: dict[str, str]
    dropped: dict[str, float]
