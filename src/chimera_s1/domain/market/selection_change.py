"""What changes between two selections of instruments, and why."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.instrument_selection import Listing, Selection

UNLISTED = "delisted: the venue does not list it any more"
NOT_TRADING = "delisted: its status on the venue is not TRADING any more"
DESELECTED = "deselected: the choice of symbols does not contain it any more"

NOT_CHOSEN = "the choice of symbols, or the shard, does not contain it"


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


class KeptInstrument(Struct, frozen=True):
    """An instrument that is served only because a capability holds it.

    Attributes:
        holders: `execution`.
        cause: Why it would not be served.
    """

    instrument: InstrumentId
    holders: str
    cause: str


def keep_held(
    selection: Selection,
    served: Sequence[InstrumentId],
    held: Mapping[InstrumentId, str],
    listings: Iterable[Listing],
) -> tuple[Selection, tuple[KeptInstrument, ...]]:
    """*selection* with what is *held*, of all shards, and what that adds.

    An instrument that is not listed is kept only where it is *served*: it cannot be subscribed
    again.
    """
    rows = {row.instrument: row for row in listings}
    chosen, known = set(selection.instruments), rows.keys() | {*served}
    kept = tuple(
        KeptInstrument(each, held[each], _cause(rows.get(each)) if each in served else NOT_CHOSEN)
        for each in sorted(held)
        if each in known and each not in chosen
    )
    if not kept:
        return selection, ()
    instruments = tuple(sorted({*chosen, *(each.instrument for each in kept)}))
    return structs.replace(selection, instruments=instruments), kept


def _cause(row: Listing | None) -> str:
    if row is None:
        return UNLISTED
    return DESELECTED if row.trading else NOT_TRADING
