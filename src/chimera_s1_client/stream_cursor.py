"""A position on a stream that notices repeated entries, trimmed ones, and a stream that was lost.

The read is inclusive: it begins with the last entry that was read. Where that entry is still there,
nothing after it was trimmed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

Entry: TypeAlias = tuple[str, Mapping[str, str]]
Command: TypeAlias = tuple[str | int, ...]

BEFORE_ALL = "0-0"

RECENT_MAX = 64
"""More than a failover loses: a replica lags by less than a second."""


class Batch(Struct, frozen=True):
    """What one read has found.

    Attributes:
        entries: New ones, in order.
        missing_after: The last id before entries that were trimmed unread; empty if none were.
        more: The read was full: read again at once.
    """

    entries: tuple[Entry, ...]
    missing_after: str = ""
    more: bool = False


class StreamCursor:
    """Attributes:
    last_id: Of the last entry read; empty before the first read. Store it to continue there.
    repeated: Entries left out: handed out before, or the same content under another id.
    """

    def __init__(self, stream: str, last_id: str = "") -> None:
        """Args: last_id: Where to continue; empty begins with the newest entry."""
        self.stream = stream
        self.last_id = last_id
        self.repeated = 0
        self._asks_newest = not last_id
        self._gone = False
        self._contents: dict[str, Mapping[str, str]] = {}
        self._recent: deque[Entry] = deque(maxlen=RECENT_MAX)

    def command(self, count: int) -> Command:
        """The command to send next."""
        if self._asks_newest:
            return ("XREVRANGE", self.stream, "+", "-", "COUNT", 1)
        return ("XRANGE", self.stream, self.last_id, "+", "COUNT", count + 1)

    def accept(self, reply: Sequence[Entry], count: int) -> Batch:
        """Take in the reply to the command."""
        if self._asks_newest:
            return self._accept_newest(reply)
        if not reply:
            return self._accept_nothing()
        found_last = reply[0][0] == self.last_id
        if found_last:
            self._remember(reply[0])
        reported = self._gone or self.last_id == BEFORE_ALL
        missing = "" if found_last or reported else self.last_id
        self._gone = False
        new = reply[1:] if found_last else reply
        return self._advance(new, missing, more=len(reply) > count)

    def _accept_newest(self, reply: Sequence[Entry]) -> Batch:
        self._asks_newest = False
        if not reply:
            self.last_id = self.last_id or BEFORE_ALL
            return Batch(())
        if not self.last_id:
            return self._advance(reply, "")
        newest_id = reply[0][0]
        if _parsed(newest_id) >= _parsed(self.last_id):
            return Batch((), more=True)  # the ordinary read finds it
        # A failover has lost the entries after it, or another stream has this name now.
        self._gone = False
        return self._advance(reply, "")

    def _accept_nothing(self) -> Batch:
        """The stream has no entry from the last one on: it was deleted, or a replica lacked it."""
        if self.last_id == BEFORE_ALL:
            return Batch(())
        missing = "" if self._gone else self.last_id
        self._gone = self._asks_newest = True
        return Batch((), missing)

    def _advance(self, reply: Sequence[Entry], missing: str, *, more: bool = False) -> Batch:
        entries = tuple(entry for entry in reply if not self._is_repeated(entry))
        if reply:
            self.last_id = reply[-1][0]
        return Batch(entries, missing, more)

    def _is_repeated(self, entry: Entry) -> bool:
        """Whether *entry* was handed out, or has the content of the last entry of its source, `ts`
        included.
        """
        if entry in self._recent or entry[1] == self._contents.get(entry[1].get("src", "")):
            self.repeated += 1
            return True
        self._remember(entry)
        return False

    def _remember(self, entry: Entry) -> None:
        if entry not in self._recent:
            self._recent.append(entry)
        self._contents[entry[1].get("src", "")] = entry[1]


def _parsed(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)
