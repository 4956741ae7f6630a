"""Which connection carries which streams, while the selection changes."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct


class PlacementChange(Struct, frozen=True):
    """Names of streams, in the order to subscribe them."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


class StreamPlacement:
    """Streams never move from one connection to another: nothing that stays is interrupted.

    Args:
        prefix: Connections are called `<prefix>-0`, `<prefix>-1` ...
        per_connection: Streams at most on each, 1 to 1024.
    """

    def __init__(self, prefix: str, per_connection: int) -> None:
        self._prefix = prefix
        self._per_connection = per_connection
        self._streams: dict[str, dict[str, None]] = {}

    @property
    def connections(self) -> Mapping[str, tuple[str, ...]]:
        """The streams of each connection; none is empty."""
        return {name: tuple(streams) for name, streams in self._streams.items()}

    def select(self, wanted: Sequence[str]) -> dict[str, PlacementChange]:
        """Place *wanted* and nothing else; what changes, by connection.

        New streams fill connections that have room, then new ones. A connection that is left
        without streams ends; its name is free again.
        """
        kept = set(wanted)
        removed = {name: _without(streams, kept) for name, streams in self._streams.items()}
        carried = {stream for streams in self._streams.values() for stream in streams}
        added = self._place([stream for stream in dict.fromkeys(wanted) if stream not in carried])
        names = [name for name in {**removed, **added} if removed.get(name) or added.get(name)]
        self._streams = {name: streams for name, streams in self._streams.items() if streams}
        return {
            name: PlacementChange(tuple(added.get(name, ())), tuple(removed.get(name, ())))
            for name in names
        }

    def _place(self, streams: Sequence[str]) -> dict[str, list[str]]:
        added: dict[str, list[str]] = {}
        place = 0
        for stream in streams:
            while len(self._streams.get(self._name(place), ())) >= self._per_connection:
                place += 1
            name = self._name(place)
            self._streams.setdefault(name, {})[stream] = None
            added.setdefault(name, []).append(stream)
        return added

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"


def _without(streams: dict[str, None], kept: Collection[str]) -> list[str]:
    """Remove from *streams* what is not *kept*, and return it."""
    removed = [stream for stream in streams if stream not in kept]
    for stream in removed:
        del streams[stream]
    return removed
