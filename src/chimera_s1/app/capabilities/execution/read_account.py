"""The account as the API shows it, and a reconciliation on demand."""

from collections.abc import Mapping

import anyio

from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.reconcile_account import ReconcileAccount
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.account_rows import BalanceRow, OpenOrderRow, PositionRow
from chimera_s1.domain.execution.reconciliation_report import Reconciliation
from chimera_s1.domain.identifiers import Venue

RECONCILE_LIMIT_S = 30.0


class ExecutionDisabledError(ChimeraError):
    """No exchange key is configured, so no account can be read."""

    code = "execution.disabled"


class AccountUnreadError(ChimeraError):
    """The account was not read yet since the start."""

    code = "execution.account_unread"


class ReconciliationPendingError(ChimeraError):
    """The round has not ended in time; it goes on."""

    code = "execution.reconciliation_pending"


class ReadAccount:
    """Args:
    parts: None without an exchange key: every call raises `ExecutionDisabledError`.
    limit_s: `reconcile` waits so long for the end of its round.
    """

    def __init__(
        self,
        parts: tuple[AccountPicture, ReconcileAccount] | None,
        *,
        limit_s: float = RECONCILE_LIMIT_S,
    ) -> None:
        self._parts = parts
        self._limit_s = limit_s

    def open_orders(self, venue: Venue | None) -> tuple[OpenOrderRow, ...]:
        """Raises: AccountUnreadError."""
        return self._read(venue).open_orders(venue)

    def positions(self) -> tuple[PositionRow, ...]:
        """Raises: AccountUnreadError."""
        return self._read(Venue.PERP).positions()

    def balances(self) -> tuple[BalanceRow, ...]:
        """Raises: AccountUnreadError."""
        return self._read(None).balances()

    def read_ms(self) -> Mapping[Venue, int]:
        """When each venue was last read; exchange epoch ms."""
        return self._enabled()[0].read_ms

    async def reconcile(self, reason: str) -> Reconciliation:
        """The result of a round that begins now.

        Raises:
            ReconciliationPendingError: It takes longer.
        """
        _, reconciliation = self._enabled()
        with anyio.move_on_after(self._limit_s):
            return await reconciliation.reconcile(reason)
        raise ReconciliationPendingError(
            f"the reconciliation has not ended after {self._limit_s:g} s and goes on; see "
            "reconciliation in /health, or ask again"
        )

    def _read(self, venue: Venue | None) -> AccountPicture:
        picture, _ = self._enabled()
        missing = [
            each.value for each in Venue if venue in {None, each} and each not in picture.read_ms
        ]
        if missing:
            raise AccountUnreadError(
                f"the account was not read yet on {' and '.join(missing)}; see reconciliation in "
                "/health"
            )
        return picture

    def _enabled(self) -> tuple[AccountPicture, ReconcileAccount]:
        if self._parts is None:
            raise ExecutionDisabledError(
                "set S1_BINANCE_KEY and S1_BINANCE_SECRET to read the account"
            )
        return self._parts
