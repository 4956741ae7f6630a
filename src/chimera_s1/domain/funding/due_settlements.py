"""Settlements that have happened, and whose rates are waited for."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.settlement_times import full_hour
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.schedule import HOUR_MS

POLLS: Final = Backoff(base_ms=4_000, max_wait_ms=300_000, jitter_ms=1_000)
"""The waits before the reads after a settlement. Most rates are published within some seconds; an
earlier read would find some of them, and be one more.
"""

GIVE_UP_MS: Final = HOUR_MS
"""After this time a settlement is left to the job that reads the last days."""


class DueSettlement(Struct, frozen=True):
    """Attributes:
    funding_time: Its full hour, epoch ms.
    """

    symbol: Symbol
    funding_time: int


class DueSettlements:
    """One read covers all that wait, so they share one back-off. *now_ms* is monotonic."""

    def __init__(self) -> None:
        self._noticed_ms: dict[DueSettlement, float] = {}
        self._hours: Counter[int] = Counter()
        self._polls = 0
        self._next_poll_ms = 0.0

    def __len__(self) -> int:
        return len(self._noticed_ms)

    @property
    def earliest(self) -> int:
        """The time of the first that waits, epoch ms."""
        return min(self._hours)

    def notice(self, symbol: Symbol, funding_time: int, now_ms: float, draw: float) -> bool:
        """It has happened. Whether it is the first of its hour, which begins the polls again."""
        due = DueSettlement(symbol, full_hour(funding_time))
        if due in self._noticed_ms:
            return False
        begins = due.funding_time not in self._hours
        if begins:
            self._polls = 0
            self._next_poll_ms = now_ms + POLLS.wait_ms(0, draw)
        self._hours[due.funding_time] += 1
        self._noticed_ms[due] = now_ms
        return begins

    def wait_ms(self, now_ms: float) -> float:
        """Until the next poll."""
        return max(0.0, self._next_poll_ms - now_ms)

    def polled(self, now_ms: float, draw: float) -> None:
        self._polls += 1
        self._next_poll_ms = now_ms + POLLS.wait_ms(self._polls, draw)

    def take_stored(self, stored: Iterable[SettlementKey]) -> tuple[DueSettlement, ...]:
        """Forget those of *stored* that wait, and return them."""
        keys = {DueSettlement(key.symbol, full_hour(key.funding_time)) for key in stored}
        found = tuple(each for each in self._noticed_ms if each in keys)
        self._forget(found)
        return found

    def give_up(self, now_ms: float) -> tuple[DueSettlement, ...]:
        """Forget those that have waited for too long, and return them."""
        late = tuple(
            each for each, since_ms in self._noticed_ms.items() if now_ms - since_ms >= GIVE_UP_MS
        )
        self._forget(late)
        return late

    def _forget(self, settlements: Iterable[DueSettlement]) -> None:
        for each in settlements:
            del self._noticed_ms[each]
            self._hours[each.funding_time] -= 1
        self._hours = +self._hours
