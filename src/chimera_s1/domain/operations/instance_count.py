"""By how many instances the limits of an address are divided. Times are monotonic ms.

An instance that starts does not know the others, and they do not know it. So it begins with the
smallest share that is sensible, and only after the longest window of the exchange, in which the
others' use of before has faded, with what its count says. More instances count at once, fewer only
after that window, too. One share of the requests is always left to an instance that is about to
start or was restarted; of the dials, half is nobody's anyway (`dial_budget`).
"""

from collections import deque

from msgspec import Struct

SETTLE_MS = 300_000
"""The longest window of a limit that is divided."""

ASSUMED_MIN = 4
_INSTANCES_PER_SHARD = 2
"""One that publishes, and its standby."""


class InstanceShares(Struct, frozen=True):
    """What limits are divided by: those of requests, and of dials."""

    requests: int
    dials: int


class InstanceCount:
    """The instances behind one address, as counted by their heartbeats."""

    def __init__(self, shards: int) -> None:
        self.assumed = max(ASSUMED_MIN, _INSTANCES_PER_SHARD * shards)
        self.failure = ""
        self._first_ms: float | None = None
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, live: int, now_ms: float) -> None:
        """*live* instances were counted, this one included."""
        self.failure = ""
        if self._first_ms is None:
            self._first_ms = now_ms
        while self._counts and self._counts[-1][1] <= live:
            self._counts.pop()
        self._counts.append((now_ms, live))
        while self._counts[0][0] < now_ms - SETTLE_MS:
            self._counts.popleft()

    def fail(self, why: str) -> None:
        """They could not be counted; what was known stays in force."""
        self.failure = why

    def shares(self, now_ms: float) -> InstanceShares:
        if self._first_ms is None:
            return InstanceShares(self.assumed, self.assumed)
        most = self._counts[0][1]
        settled = now_ms - self._first_ms >= SETTLE_MS
        return InstanceShares(most + 1 if settled else max(self.assumed, most + 1), most)

    def sentence(self, now_ms: float) -> str:
        """What the limits are divided by, and why."""
        shares = self.shares(now_ms)
        if self._first_ms is None:
            why = self.failure or "their heartbeats are not read yet"
            return f"limits are divided by {shares.dials} instances, an assumption: {why}"
        number = f"{shares.dials} instance{'s' if shares.dials > 1 else ''}"
        text = f"{number} in the last 5 minutes, requests divided by {shares.requests}"
        return f"{text}, not counted now: {self.failure}" if self.failure else text
