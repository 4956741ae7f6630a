"""Report the treasury: what its parts say, for `/health`."""

from collections.abc import Callable, Iterable

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.operations.health import TreasuryReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.treasury.transfer import Transfer

Trouble = Callable[[], str]
"""Why something does not work; empty while it does."""


class ReportTreasury:
    """Reads memory only.

    Args:
        ledger: The open transfers, and whether it is damaged.

        clock: How old they are.

        store: Troubles of those who use the ledger's store; the first one is told.

        relay: Trouble of the way to `ops:events`.

        key: Trouble of the exchange key.

        kill_switch: Whether it is on.

        switch: Trouble of reading it.
    """

    def __init__(
        self,
        ledger: TreasuryLedger,
        clock: Clock,
        *,
        store: Iterable[Trouble],
        relay: Trouble,
        key: Trouble,
        kill_switch: Callable[[], bool],
        switch: Trouble,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._store = tuple(store)
        self._relay = relay
        self._key = key
        self._kill_switch = kill_switch
        self._switch = switch

    def report(self) -> TreasuryReport:
        """The treasury now."""
        book = self._ledger.open
        unresolved = tuple(book.unresolved.values())
        return TreasuryReport(
            damage=self._ledger.damage,
            store_trouble=next((told for trouble in self._store if (told := trouble())), ""),
            relay_trouble=self._relay(),
            key_trouble=self._key(),
            kill_switch=self._kill_switch(),
            switch_trouble=self._switch(),
            waiting=len(book.waiting),
            unresolved=len(unresolved),
            oldest_unresolved_ms=self._oldest_ms(unresolved),
            in_review=book.in_review,
        )

    def _oldest_ms(self, unresolved: tuple[Transfer, ...]) -> int:
        since = [transfer.unknown_at for transfer in unresolved if transfer.unknown_at]
        return max(0, self._clock.now_ms() - min(since)) if since else 0
