"""What changes between two selections."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import (
    SINGLE_SHARD,
    Listing,
    SymbolFilter,
    select_instruments,
)
from chimera_s1.domain.market.selection_change import (
    DESELECTED,
    NOT_TRADING,
    UNLISTED,
    SelectionChange,
    compare_selections,
)

A, B, C, D = (InstrumentId(Venue.PERP, Symbol(f"{name}USDT")) for name in "ABCD")
INSTRUMENTS = st.frozensets(st.sampled_from([A, B, C, D]))


def listing(instrument: InstrumentId, *, trading: bool = True) -> Listing:
    return Listing(instrument, "USDT", trading=trading)


def chosen(*instruments: InstrumentId) -> SymbolFilter:
    return SymbolFilter(every=False, named=frozenset(instruments))


def test_each_instrument_that_goes_has_its_cause() -> None:
    listings = [listing(A), listing(B), listing(C, trading=False)]
    selection = select_instruments(chosen(A), listings, Venue.PERP, SINGLE_SHARD)

    assert compare_selections([B, C, D], selection, listings) == SelectionChange(
        added=(A,), removed=((B, DESELECTED), (C, NOT_TRADING), (D, UNLISTED))
    )


def test_no_difference_is_no_change() -> None:
    selection = select_instruments(chosen(A), [listing(A)], Venue.PERP, SINGLE_SHARD)

    assert not compare_selections([A], selection, [listing(A)])


@given(INSTRUMENTS, INSTRUMENTS, INSTRUMENTS)
def test_what_was_served_and_the_change_give_what_is_served(
    served: frozenset[InstrumentId], named: frozenset[InstrumentId], on: frozenset[InstrumentId]
) -> None:
    listings = [listing(each) for each in sorted(on)]
    selection = select_instruments(chosen(*named), listings, Venue.PERP, SINGLE_SHARD)
    change = compare_selections(sorted(served), selection, listings)

    removed = {instrument for instrument, _ in change.removed}
    assert (served - removed) | set(change.added) == set(selection.instruments) == named & on
    assert removed <= served
    assert served.isdisjoint(change.added)
