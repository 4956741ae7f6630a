import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.sequence import contiguous_count


@given(after=st.integers(0, 50), seqs=st.sets(st.integers(51, 60)))
def test_the_count_ends_at_the_first_gap(after: int, seqs: set[int]) -> None:
    """A gap at the first sequence number is an error that names it."""
    found = sorted(seqs)
    if found and found[0] != after + 1:
        with pytest.raises(LedgerDamagedError, match=f"main-{after + 1:016d} is missing"):
            contiguous_count(found, "main", after)
        return

    number = contiguous_count(found, "main", after)

    assert found[:number] == list(range(after + 1, after + 1 + number))
    assert after + 1 + number not in seqs
