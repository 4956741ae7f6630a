"""Make dead letters of entries of `mkt:status` that are not written."""

from typing import Final

import msgspec

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange
from chimera_s1.domain.operations.dead_letter import LetterPort, TakeLetter

CHANGES_PER_LETTER: Final = 500


def keep_status(
    venue: Venue,
    take: TakeLetter,
    changes: tuple[StatusChange, ...],
    reason: str,
    attempts: int,
) -> None:
    """They are not replayed: a reader would take a state of the past for the present one."""
    for start in range(0, len(changes), CHANGES_PER_LETTER):
        some = changes[start : start + CHANGES_PER_LETTER]
        key = f"{venue.value} {some[0].symbol} {some[0].state.value} {some[0].ts}"
        take(LetterPort.MARKET_STATUS, key, reason, msgspec.json.encode(some), attempts)
