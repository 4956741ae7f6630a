"""A ban that is announced in the text of a reply: `IP banned until <epoch ms>`."""

import re
from collections.abc import Mapping

from chimera_s1.adapters.binance.http.http_date import http_date_ms

_BANNED_UNTIL = re.compile(r"banned until (\d{13})(?!\d)")
_SCANNED_BYTES_MAX = 4_096


def ban_left_ms(body: bytes, headers: Mapping[str, str], now_ms: int) -> int:
    """How long the ban in *body* lasts, at most 1 s too long; 0 without one.

    Counted from the reply's own `Date`, so that a wrong local clock does not matter, else from
    *now_ms*, local epoch ms.
    """
    found = _BANNED_UNTIL.search(body[:_SCANNED_BYTES_MAX].decode("utf-8", "replace"))
    if found is None:
        return 0
    return max(0, int(found[1]) - (http_date_ms(headers.get("Date", "")) or now_ms))
