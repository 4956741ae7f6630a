"""Which coordinator receives the next request."""

import threading
from collections.abc import Callable, Sequence

from chimera_s1.adapters.arango.coordinator import Coordinator
from chimera_s1.adapters.arango.errors import ArangoRequestError, is_coordinator_unavailable
from chimera_s1.domain.operations.backoff import Backoff

COOLDOWN = Backoff(base_ms=250, max_wait_ms=8_000, jitter_ms=0)


class CoordinatorPool:
    """Round robin. A coordinator that is unavailable cools down, twice as long each time, and is
    used only while all others cool down too. Used from several threads.
    """

    def __init__(self, coordinators: Sequence[Coordinator], monotonic: Callable[[], float]) -> None:
        self.coordinators = tuple(coordinators)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_index = 0
        self._failures = [0] * len(self.coordinators)
        self._cooldown_until_s = [0.0] * len(self.coordinators)

    def pick(self, avoid: Coordinator | None = None) -> Coordinator:
        """The next coordinator; not *avoid* if another one is available."""
        count = len(self.coordinators)
        with self._lock:
            now_s = self._monotonic()

            def rank(index: int) -> tuple[float, bool, int]:
                return (
                    max(0.0, self._cooldown_until_s[index] - now_s),
                    self.coordinators[index] is avoid,
                    (index - self._next_index) % count,
                )

            picked = min(range(count), key=rank)
            self._next_index = (picked + 1) % count
            return self.coordinators[picked]

    def record_result(self, coordinator: Coordinator, error: ArangoRequestError | None) -> None:
        index = self.coordinators.index(coordinator)
        with self._lock:
            if error is None or not is_coordinator_unavailable(error):
                self._failures[index] = 0
                self._cooldown_until_s[index] = 0.0
                return
            cooldown_ms = COOLDOWN.wait_ms(self._failures[index], 0.0)
            self._failures[index] += 1
            self._cooldown_until_s[index] = self._monotonic() + cooldown_ms / 1000
