"""What becomes of an address that goes on after 429: 418, for longer each time.

Binance says no more than that bans grow from 2 minutes to 3 days; here they double. How many 429 it
takes is not documented either.
"""

REFUSALS_BEFORE_BAN = 10
"""Replies 429 to one address within a minute; the next one is a ban."""

_MINUTE_MS = 60_000
_BAN_MS = 2 * _MINUTE_MS
_BAN_MAX_MS = 3 * 24 * 60 * _MINUTE_MS


class Conduct:
    """Of one address at one server; times are exchange time.

    Attributes:
        refusals: Replies 429 since the start.
        bans: Bans since the start.
        while_banned: Requests or dials that came during a ban.
        banned_until_ms: The end of the last ban; 0 without one.
    """

    def __init__(self) -> None:
        self.refusals = self.bans = self.while_banned = 0
        self.banned_until_ms = 0
        self._minute = 0
        self._refusals_in_minute = 0

    def refuse(self, now_ms: int, refusals_before_ban: int) -> bool:
        """Count a 429, or begin a ban; True if it is banned now."""
        if now_ms // _MINUTE_MS != self._minute:
            self._minute = now_ms // _MINUTE_MS
            self._refusals_in_minute = 0
        self._refusals_in_minute += 1
        if self._refusals_in_minute <= refusals_before_ban:
            self.refusals += 1
            return False
        self.banned_until_ms = now_ms + min(_BAN_MAX_MS, _BAN_MS << min(self.bans, 16))
        self.bans += 1
        return True
