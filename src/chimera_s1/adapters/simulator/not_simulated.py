"""What clients asked for and this simulator does not have, though Binance may.

Each distinct name is logged once, and listed with its count in the control plane's status.
"""

import logging
from collections import Counter
from enum import Enum

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue

NAMES_MAX = 200
"""Distinct names that are kept; further ones are only counted."""

_NAME_CHARS_MAX = 120
_log = logging.getLogger(__name__)


class Feature(Enum):
    REQUEST = "request"
    STREAM = "stream"
    CONNECTION = "connection"


class MissingFeature(Struct, frozen=True):
    """*name* is printable; *reply* says what the client got."""

    venue: Venue
    feature: Feature
    name: str
    reply: str

    def __str__(self) -> str:
        return f"{self.venue.value}: {self.feature.value} {self.name}: {self.reply}"


class NotSimulated:
    """Attributes:
    unlisted: Occurrences of names beyond NAMES_MAX.
    """

    def __init__(self) -> None:
        self.unlisted = 0
        self._counts: Counter[MissingFeature] = Counter()

    def record(self, venue: Venue, feature: Feature, name: str, reply: str) -> None:
        missing = MissingFeature(venue, feature, _printable(name), reply)
        if missing not in self._counts:
            if len(self._counts) >= NAMES_MAX:
                self._count_unlisted()
                return
            _log.warning("not simulated: %s", missing)
        self._counts[missing] += 1

    def _count_unlisted(self) -> None:
        if not self.unlisted:
            _log.warning("not simulated: %d names are listed; further ones are counted", NAMES_MAX)
        self.unlisted += 1

    def counts(self) -> list[tuple[MissingFeature, int]]:
        """Most frequent first."""
        return self._counts.most_common()


def _printable(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name[: _NAME_CHARS_MAX + 1])
    return text if len(text) <= _NAME_CHARS_MAX else f"{text[:_NAME_CHARS_MAX]}..."
