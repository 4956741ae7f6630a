"""Which coordinator is asked next."""

import threading
from collections.abc import Callable, Sequence

from chimera_s1.adapters.arango.coordinator import Coordinator
from chimera_s1.adapters.arango.errors import ArangoRequestError, is_coordinator_unavailable
from chimera_s1.domain.operations.backoff import Backoff

REST = Backoff(base_ms=250, max_wait_ms=8_000, jitter_ms=0)


class CoordinatorPool:
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
        self._next_index = 0
        self._failures = [0] * len(self.coordinators)
        self._cooldown_until_s = [0.0] * len(self.coordinators)

    def pick(self, avoid: Coordinator | None = None) -> Coordinator:
        """The next one; another than *avoid*, if another one is awake."""
        number = len(self.coordinators)
        with self._lock:
            now_s = self._monotonic()

            def rank(index: int) -> tuple[float, bool, int]:
                rest_s = max(0.0, self._cooldown_until_s[index] - now_s)
                return (
                    rest_s,
                    self.coordinators[index] is avoid,
                    (index - self._next_index) % number,
                )

            chosen = min(range(number), key=rank)
            self._next_index = (chosen + 1) % number
            return self.coordinators[chosen]

    def record_result(self, coordinator: Coordinator, error: ArangoRequestError | None) -> None:
        """Remember how *coordinator* did."""
        index = self.coordinators.index(coordinator)
        with self._lock:
            if error is None or not is_coordinator_unavailable(error):
                self._failures[index] = 0
                self._cooldown_until_s[index] = 0.0
                return
            rest_ms = REST.wait_ms(self._failures[index], 0.0)
            self._failures[index] += 1
            self._cooldown_until_s[index] = self._monotonic() + rest_ms / 1000
