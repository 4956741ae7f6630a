"""Keys and places of documents."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.arango.layout import document_key, transfer_sort_key

_MOMENTS = st.integers(0, 10**15)
_IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)


@given(_IDS)
def test_any_text_has_a_key_that_arangodb_takes(text: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", document_key(text))


@given(_MOMENTS, _IDS, _MOMENTS, _IDS)
def test_places_sort_as_time_and_id_do(first_at: int, first: str, at: int, second: str) -> None:
    """Python compares texts by code point, which is the order of their UTF-8."""
    in_order = (first_at, first) < (at, second)

    assert (transfer_sort_key(first_at, first) < transfer_sort_key(at, second)) is in_order
