"""What changes between two selections of instruments, and why."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.instrument_selection import Listing, Selection

UNLISTED = "delisted: the venue does not list it any more"
NOT_TRADING = "delisted: its status on the venue is not TRADING any more"
DESELECTED = "deselected: the choice of symbols does not contain it any more"


class SelectionChange(Struct, frozen=True):
    """Attributes:
    removed: With the cause, for `mkt:status`.
    """

    added: tuple[InstrumentId, ...] = ()
    removed: tuple[tuple[InstrumentId, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def compare_selections(
    served: Sequence[InstrumentId], selection: Selection, listings: Iterable[Listing]
) -> SelectionChange:
    """From *served* to *selection*, which was made from *listings*."""
    before, after = set(served), set(selection.instruments)
    rows = {row.instrument: row for row in listings}
    return SelectionChange(
        added=tuple(each for each in selection.instruments if each not in before),
        removed=tuple((each, _cause(rows.get(each))) for each in served if each not in after),
    )


def _cause(row: Listing | None) -> str:
    if row is None:
        return UNLISTED
    return DESELECTED if row.trading else NOT_TRADING
