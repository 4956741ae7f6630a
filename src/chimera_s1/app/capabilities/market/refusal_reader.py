"""Reads from a feed's counters what was refused since the last reading."""

from collections.abc import Iterator, Mapping

from chimera_s1.domain.market.frame_tally import NO_DEFECT
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.ports.market_feed import FeedCounters


class RefusalReader:
    def __init__(self) -> None:
        self._streams: dict[StreamKey, dict[str, int]] = {}
        self._connections: dict[str, dict[str, int]] = {}

    def read_streams(self, counters: FeedCounters) -> Iterator[tuple[StreamKey, dict[str, int]]]:
        """New refused frames of each stream, by reason."""
        for key, reasons in counters.refused.items():
            fresh = _difference(reasons, self._streams.get(key, {}))
            if fresh:
                self._streams[key] = dict(reasons)
                yield key, fresh

    def read_connections(self, counters: FeedCounters) -> Iterator[tuple[str, str, int]]:
        """New messages of each connection that were not understood: name, reason, number."""
        for name, reasons in counters.unreadable.items():
            fresh = _difference(reasons, self._connections.get(name, {}))
            if fresh:
                self._connections[name] = dict(reasons)
                for reason, number in fresh.items():
                    if reason not in NO_DEFECT:
                        yield name, reason, number

    def forget_stream(self, key: StreamKey) -> None:
        self._streams.pop(key, None)

    def forget_connection(self, name: str) -> None:
        self._connections.pop(name, None)


def _difference(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {
        reason: number - before.get(reason, 0)
        for reason, number in now.items()
        if number != before.get(reason, 0)
    }
