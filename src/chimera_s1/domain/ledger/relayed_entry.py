"""What a relay has written."""

from msgspec import Struct


class RelayedEntry(Struct, frozen=True):
    """An entry of a Redis stream; *entry_id* is the server's."""

    stream: str
    entry_id: str
