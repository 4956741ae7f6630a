"""Port: recorded market data, window by window."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import FeedCounters


class ReplayWindow(Struct, frozen=True):
    """The quotes that a live service would have published when a window closed.

    Attributes:
        end_ms: End of the window by the timestamps of the recording, epoch ms.
        quotes: In publishing order; at most one per instrument and source (window 0: all).
    """

    end_ms: int
    quotes: tuple[Quote, ...]


class Recording(Protocol):
    """A market data file as a sequence of windows."""

    @property
    def counters(self) -> FeedCounters: ...

    def windows(self) -> Iterator[ReplayWindow]:
        """The windows in chronological order; raises `RecordingDamagedError` at a damaged line."""
        ...
