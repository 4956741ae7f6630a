"""Sums of what was counted within a window of time; times are ms of the exchange's clock."""

from collections import deque


class WindowOnTheMinute:
    """Windows that begin at multiples of their length."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._window = 0
        self._used = 0

    def add(self, amount: int, now_ms: int) -> None:
        self._used = self.used(now_ms) + amount
        self._window = now_ms // self._window_ms

    def used(self, now_ms: int) -> int:
        return self._used if now_ms // self._window_ms == self._window else 0

    def free_in_ms(self, limit: int, now_ms: int) -> int:
        """How long more than *limit* is used."""
        over = self.used(now_ms) > limit
        return self._window_ms - now_ms % self._window_ms if over else 0


class AnyWindow:
    """The window that ends now, whenever that is."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._counted: deque[tuple[int, int]] = deque()
        self._used = 0

    def add(self, amount: int, now_ms: int) -> None:
        self._used = self.used(now_ms) + amount
        if self._counted and self._counted[-1][0] >= now_ms:
            now_ms, counted = self._counted.pop()
            amount += counted
        self._counted.append((now_ms, amount))

    def used(self, now_ms: int) -> int:
        while self._counted and self._counted[0][0] <= now_ms - self._window_ms:
            self._used -= self._counted.popleft()[1]
        return self._used

    def free_in_ms(self, limit: int, now_ms: int) -> int:
        """How long more than *limit* is used."""
        used = self.used(now_ms)
        counted = iter(self._counted)
        ends_ms = now_ms
        while used > limit:
            at_ms, amount = next(counted)
            used -= amount
            ends_ms = at_ms + self._window_ms
        return ends_ms - now_ms


Window = WindowOnTheMinute | AnyWindow
