"""Report the treasury: what its parts say, for `/health`."""

from collections.abc import Callable, Iterable

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.health import TreasuryReport
from chimera_s1.domain.treasury.transfer import Transfer

ReadError = Callable[[], str]
"""Why something does not work; empty while it does."""


class ReportTreasury:
    """Reads memory only.

    Args:
        ledger: The open transfers, and whether it is damaged.
        clock: How old they are.
        store_errors: Troubles of those who use the ledger's store; the first one is told.
        relay_error: Trouble of the way to `ops:events`.
        key_problem: Trouble of the exchange key.
        kill_switch: Whether it is on.
        kill_switch_error: Trouble of reading it.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        clock: Clock,
        *,
        store_errors: Iterable[ReadError],
        relay_error: ReadError,
        key_problem: ReadError,
        kill_switch: Callable[[], bool],
        kill_switch_error: ReadError,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._store = tuple(store_errors)
        self._relay = relay_error
        self._key = key_problem
        self._kill_switch = kill_switch
        self._switch = kill_switch_error

    def report(self) -> TreasuryReport:
        """The treasury now."""
        open_transfers = self._ledger.open_transfers
        unresolved = tuple(open_transfers.unresolved.values())
        return TreasuryReport(
            ledger_damage=self._ledger.damage,
            store_error=next((error for trouble in self._store if (error := trouble())), ""),
            relay_error=self._relay(),
            key_problem=self._key(),
            kill_switch_on=self._kill_switch(),
            kill_switch_error=self._switch(),
            waiting=len(open_transfers.queued),
            unresolved=len(unresolved),
            oldest_unresolved_ms=self._oldest_ms(unresolved),
            in_review=open_transfers.in_review,
        )

    def _oldest_ms(self, unresolved: tuple[Transfer, ...]) -> int:
        since = [transfer.unknown_at for transfer in unresolved if transfer.unknown_at]
        return max(0, self._clock.now_ms() - min(since)) if since else 0
