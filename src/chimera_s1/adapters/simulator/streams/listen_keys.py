"""The listenKey of the account's futures user stream.

Binance, USD-M "Start User Data Stream": valid for 60 minutes; starting it again while it is valid
gives the same key and extends it.
"""

import secrets
from collections import deque

from msgspec import Struct

from chimera_s1.adapters.simulator.clock import ScaledClock

VALIDITY_MS = 60 * 60_000
_KEY_BYTES = 32
_EXPIRED_KEPT = 100


class ExpiredKey(Struct, frozen=True):
    """*at_ms* is exchange time."""

    key: str
    at_ms: int


class ListenKeys:
    """One account has one valid key at most.

    Attributes:
        validity_ms: Of keys that are opened or extended from now on.
    """

    def __init__(self, clock: ScaledClock) -> None:
        self.validity_ms = VALIDITY_MS
        self._clock = clock
        self._key = ""
        self._expires_ms = 0
        self._expired: deque[ExpiredKey] = deque(maxlen=_EXPIRED_KEPT)

    def open(self) -> str:
        """The valid key, extended; a new one if there is none."""
        if not self.extend():
            self._key = secrets.token_hex(_KEY_BYTES)
            self._set_expiry()
        return self._key

    def extend(self) -> str:
        """The valid key, extended; empty if there is none."""
        self._expire()
        if self._key:
            self._set_expiry()
        return self._key

    def close(self) -> bool:
        """End the valid key at once, without an event; False if there is none."""
        self._expire()
        closed, self._key = bool(self._key), ""
        return closed

    def is_valid(self, key: str) -> bool:
        self._expire()
        return bool(key) and key == self._key

    def take_expired(self) -> list[ExpiredKey]:
        """Keys that expired since the last call."""
        self._expire()
        expired = list(self._expired)
        self._expired.clear()
        return expired

    @property
    def next_expiry_ms(self) -> int:
        """Exchange time; one validity from now if there is no key."""
        return self._expires_ms if self._key else self._clock.now_ms() + self.validity_ms

    def _set_expiry(self) -> None:
        self._expires_ms = self._clock.now_ms() + self.validity_ms
        self._clock.wake()

    def _expire(self) -> None:
        if self._key and self._clock.now_ms() >= self._expires_ms:
            self._expired.append(ExpiredKey(self._key, self._expires_ms))
            self._key = ""
