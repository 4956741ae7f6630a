"""Document keys and sort keys."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.arango.layout import document_key, transfer_sort_key

_TIMES = st.integers(0, 10**15)
_IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)


@given(_IDS)
def test_document_keys_are_legal_for_any_text(text: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", document_key(text))


@given(_TIMES, _IDS, _TIMES, _IDS)
def test_sort_keys_sort_by_time_and_id(
    first_at: int, first: str, second_at: int, second: str
) -> None:
    """Python compares strings by code point, which is also the order of their UTF-8."""
    in_order = (first_at, first) < (second_at, second)

    assert (transfer_sort_key(first_at, first) < transfer_sort_key(second_at, second)) is in_order
