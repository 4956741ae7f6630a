"""Cursors: the end of a page, as a text that the client sends back."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from chimera_s1.app.web.json_object import RequestInvalidError

CURSOR_PATTERN = "^[A-Za-z0-9_-]{3,400}$"
"""For descriptions; `decode_cursor` decides."""


def encode_cursor(mark: str) -> str:
    return urlsafe_b64encode(mark.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, form: re.Pattern[str]) -> re.Match[str]:
    """The mark in *cursor*, which must be of the *form*.

    Raises:
        RequestInvalidError: *cursor* is not from `encode_cursor`, or of another list.
    """
    try:
        mark = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (Error, ValueError):
        mark = ""
    found = form.fullmatch(mark)
    if found is None:
        raise RequestInvalidError(
            "cursor: send next_cursor of the previous page, or omit it for the first page"
        )
    return found
