"""A ban that is announced in the text of a reply: `IP banned until <epoch ms>`."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_BANNED_UNTIL = re.compile(r"banned until (\d{13})(?!\d)")
_SCANNED_BYTES_MAX = 4_096


def ban_left_ms(body: bytes, headers: Mapping[str, str], now_ms: int) -> int:
    """How long the ban in *body* lasts; 0 without one.

    Counted from the reply's own `Date`, so that a wrong local clock does not matter, else from
    *now_ms*, local epoch ms.
    """
    found = _BANNED_UNTIL.search(body[:_SCANNED_BYTES_MAX].decode("utf-8", "replace"))
    if found is None:
        return 0
    return max(0, int(found[1]) - (_date_ms(headers.get("Date", "")) or now_ms))


def _date_ms(text: str) -> int | None:
    """The start of the second that an HTTP date names; a hold is at most 1 s too long."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1000 if text else None
    except (ValueError, OverflowError):
        return None
