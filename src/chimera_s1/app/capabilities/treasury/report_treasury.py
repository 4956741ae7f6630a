"""Report the health of the treasury."""

from collections.abc import Callable, Iterable

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.account_claim import AccountVerdict
from chimera_s1.domain.treasury.health import TreasuryReport
from chimera_s1.domain.treasury.transfer import Transfer

ReadError = Callable[[], str]
"""The last error; empty while there is none."""


class ReportTreasury:
    """Reads memory only.

    Args:
        store_errors: Errors of each user of the ledger's store; the first one is reported.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        clock: Clock,
        *,
        store_errors: Iterable[ReadError],
        relay_error: ReadError,
        account: Callable[[], AccountVerdict],
        account_error: ReadError,
        key_problem: ReadError,
        clock_problem: ReadError,
        maintenance: ReadError,
        status_problem: ReadError,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._store = tuple(store_errors)
        self._relay = relay_error
        self._account = account
        self._account_error = account_error
        self._key = key_problem
        self._clock_problem = clock_problem
        self._maintenance = maintenance
        self._status_problem = status_problem

    def report(self) -> TreasuryReport:
        open_transfers = self._ledger.open_transfers
        unresolved = tuple(open_transfers.unresolved.values())
        return TreasuryReport(
            ledger_damage=self._ledger.damage,
            store_error=next((error for read in self._store if (error := read())), ""),
            relay_error=self._relay(),
            account=self._account(),
            account_error=self._account_error(),
            key_problem=self._key(),
            clock_problem=self._clock_problem(),
            maintenance=self._maintenance(),
            status_problem=self._status_problem(),
            waiting=len(open_transfers.queued),
            unresolved=len(unresolved),
            oldest_unresolved_ms=self._oldest_ms(unresolved),
            in_review=open_transfers.in_review,
        )

    def _oldest_ms(self, unresolved: tuple[Transfer, ...]) -> int:
        since = [transfer.unknown_at for transfer in unresolved if transfer.unknown_at]
        return max(0, self._clock.now_ms() - min(since)) if since else 0
