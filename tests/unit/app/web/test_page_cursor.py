"""Cursors of pages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.app.web.json_object import RequestInvalidError
from chimera_s1.app.web.page_cursor import CURSOR_PATTERN, decode_cursor, encode_cursor

ANY_TEXT = re.compile(r"perp/.{1,64}", re.DOTALL)


@given(st.text(min_size=1, max_size=64))
def test_a_cursor_gives_back_its_mark(symbol: str) -> None:
    mark = f"perp/{symbol}"

    cursor = encode_cursor(mark)

    assert decode_cursor(cursor, ANY_TEXT)[0] == mark
    assert re.fullmatch(CURSOR_PATTERN, cursor)


@pytest.mark.parametrize("cursor", ["", "!", "AAAA", "ä", encode_cursor("spot/BTCUSDT")])
def test_another_text_is_refused(cursor: str) -> None:
    """Also the cursor of another list."""
    with pytest.raises(RequestInvalidError, match="send next_cursor of the previous page"):
        decode_cursor(cursor, ANY_TEXT)
