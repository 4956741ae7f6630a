"""The places of a ledger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.sequence import contiguous_count


@given(after=st.integers(0, 50), places=st.sets(st.integers(51, 60)))
def test_places_count_up_to_the_first_hole(after: int, places: set[int]) -> None:
    """When the hole is where they should begin, it is named."""
    found = sorted(places)
    if found and found[0] != after + 1:
        with pytest.raises(LedgerDamagedError, match=f"main-{after + 1:016d} is missing"):
            contiguous_count(found, "main", after)
        return

    number = contiguous_count(found, "main", after)

    assert found[:number] == list(range(after + 1, after + 1 + number))
    assert after + 1 + number not in places
