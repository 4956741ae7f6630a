"""Rows of a listing that quarantine holds back."""

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId


class HeldRows(Struct, frozen=True, kw_only=True):
    """What quarantine holds back of a venue's listing: at most one of each status class.

    Attributes:
        since: When it was first seen, epoch ms.
        digest: SHA-256 of what is held, hex: a second read says the same if this is the same.
        status_class: The status class whose rows are held, as text.
        reason: For the operator: how many rows of how many would vanish or change.
        instruments: Those held.
    """

    since: int
    digest: str
    status_class: str
    reason: str
    instruments: tuple[InstrumentId, ...]
