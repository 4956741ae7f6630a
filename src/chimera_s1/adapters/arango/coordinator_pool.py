"""Which coordinator is asked next."""

import threading
from collections.abc import Callable, Sequence

from chimera_s1.adapters.arango.coordinator import Coordinator
from chimera_s1.adapters.arango.errors import ArangoFault, unfit
from chimera_s1.domain.operations.backoff import Backoff

REST = Backoff(base_ms=250, max_wait_ms=8_000, jitter_ms=0)


class Rota:
    """One after the other; one that fails by itself rests, each time twice as long, and is asked
    meanwhile only when all others rest too. Used from several threads.
    """

    def __init__(self, coordinators: Sequence[Coordinator], monotonic: Callable[[], float]) -> None:
        """Args:
        coordinators: At least one.

        monotonic: A clock that never goes back, s.
        """
        self.coordinators = tuple(coordinators)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._turn = 0
        self._failures = [0] * len(self.coordinators)
        self._rests_until_s = [0.0] * len(self.coordinators)

    def pick(self, last: Coordinator | None = None) -> Coordinator:
        """The next one; another than *last*, if another one is awake."""
        number = len(self.coordinators)
        with self._lock:
            now_s = self._monotonic()

            def rank(index: int) -> tuple[float, bool, int]:
                rest_s = max(0.0, self._rests_until_s[index] - now_s)
                return rest_s, self.coordinators[index] is last, (index - self._turn) % number

            chosen = min(range(number), key=rank)
            self._turn = (chosen + 1) % number
            return self.coordinators[chosen]

    def note(self, coordinator: Coordinator, fault: ArangoFault | None) -> None:
        """Remember how *coordinator* did."""
        index = self.coordinators.index(coordinator)
        with self._lock:
            if fault is None or not unfit(fault):
                self._failures[index] = 0
                self._rests_until_s[index] = 0.0
                return
            rest_ms = REST.wait_ms(self._failures[index], 0.0)
            self._failures[index] += 1
            self._rests_until_s[index] = self._monotonic() + rest_ms / 1000
