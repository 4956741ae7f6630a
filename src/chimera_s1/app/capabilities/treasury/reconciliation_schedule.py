"""When the histories are read, and for which transfers."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.transfer import Phase, Transfer

REVIEW_INTERVAL_MS = 60_000
"""Of a transfer that waits for an operator."""

WATCH_INTERVAL_MS = 300_000
"""Of a transfer that failed without proof."""


ROUND_INTERVAL_MAX_MS = 60_000
"""While the results of rounds cannot be recorded."""


class ReconciliationPace(Struct, frozen=True):
    """Attributes:
    first_read_ms: Until the histories are first read for a transfer.
    round_interval_ms: Least time between two rounds. A round reads the histories once, for all
        transfers that are due.
    """

    first_read_ms: int = 2_000
    round_interval_ms: int = 10_000


class ReconciliationState(Struct):
    """The progress on one transfer; in memory only, so a restart begins again.

    Attributes:
        next_check_ms: Monotonic ms.
        checked: Whether a round has checked it.
        clean_reads: Complete reads without a matching movement, exchange epoch ms.
        last_error: Of the last check; empty where it was clean.
    """

    next_check_ms: float
    checked: bool = False
    clean_reads: tuple[int, ...] = ()
    last_error: str = ""

    def reset_clean_reads(self, cause: str) -> None:
        self.clean_reads = ()
        self.last_error = cause


class ReconciliationSchedule:
    def __init__(self, pace: ReconciliationPace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._states: dict[TransferId, ReconciliationState] = {}
        self._next_round_ms = 0.0
        self._backoff = Backoff(
            base_ms=pace.round_interval_ms,
            max_wait_ms=max(pace.round_interval_ms, ROUND_INTERVAL_MAX_MS),
            jitter_ms=0,
        )
        self._unrecorded_rounds = 0

    def state_of(self, transfer: Transfer) -> ReconciliationState:
        return self._states[transfer.transfer_id]

    def due_transfers(self, transfers: Mapping[TransferId, Transfer]) -> tuple[Transfer, ...]:
        """Those of *transfers* to check now; empty until a round may begin. Forgets all others.

        A round that begins takes new transfers along whose reply is known to be lost, or was read.
        """
        now_ms = self._clock.monotonic_ms()
        first_ms = now_ms + self._pace.first_read_ms
        self._states = {
            key: self._states.get(key) or ReconciliationState(first_ms) for key in transfers
        }
        due = [key for key in transfers if self._states[key].next_check_ms <= now_ms]
        if not due or now_ms < self._next_round_ms:
            return ()
        new = [key for key in transfers if self._is_new(transfers[key])]
        return tuple(transfers[key] for key in dict.fromkeys((*due, *new)))

    def begin_round(self, due: Iterable[Transfer]) -> None:
        """Set the time of the next round, and of the next check of each transfer.

        Without `end_round`, the time to the next round doubles.
        """
        now_ms = self._clock.monotonic_ms()
        self._next_round_ms = now_ms + self._backoff.wait_ms(self._unrecorded_rounds, 0.0)
        self._unrecorded_rounds += 1
        for transfer in due:
            state = self.state_of(transfer)
            state.checked = True
            state.next_check_ms = now_ms + _interval_ms(transfer)

    def _is_new(self, transfer: Transfer) -> bool:
        # SUBMITTED: another instance may be waiting for the reply.
        replied = transfer.phase in {Phase.UNKNOWN, Phase.DONE}
        return replied and not self.state_of(transfer).checked

    def end_round(self) -> None:
        """The results of the round are recorded."""
        self._unrecorded_rounds = 0


def _interval_ms(transfer: Transfer) -> int:
    if transfer.phase is Phase.FAILED:
        return WATCH_INTERVAL_MS
    return REVIEW_INTERVAL_MS if transfer.in_review else 0
