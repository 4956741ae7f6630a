"""The time in which no instance published the streams of a venue."""

from msgspec import Struct


class Downtime(Struct, frozen=True):
    """Epoch ms: from the last entry that was published to the first update received after it."""

    since_ms: int
    until_ms: int


def find_downtime(last_entry_ms: int, complete_since_ms: int) -> Downtime | None:
    """What is missing between the streams and the updates that this process has.

    Args:
        last_entry_ms: The id of the newest entry of all streams, epoch ms; 0 if all are empty.
        complete_since_ms: This process has every update received since then, epoch ms.
    """
    if 0 < last_entry_ms < complete_since_ms:
        return Downtime(last_entry_ms, complete_since_ms)
    return None
