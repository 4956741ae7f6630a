"""Cursors: the end of a page, as a text that the client sends back."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from chimera_s1.app.web.json_object import RequestInvalidError
from chimera_s1.domain.ports.transfer_projection import PageMark

CURSOR_PATTERN = "^[A-Za-z0-9_-]{3,200}$"
"""For descriptions; `decode_cursor` decides."""

_MARK = re.compile(r"([0-9]{1,15}) (\S{1,128})")


def encode_cursor(mark: PageMark) -> str:
    return urlsafe_b64encode(f"{mark.created_at} {mark.transfer_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> PageMark:
    """The mark in *cursor*.

    Raises:
        RequestInvalidError: *cursor* is not from `encode_cursor`.
    """
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (Error, ValueError):
        text = ""
    found = _MARK.fullmatch(text)
    if found is None:
        raise RequestInvalidError(
            "cursor: send next_cursor of the previous page, or omit it for the first page"
        )
    return PageMark(int(found[1]), found[2])
