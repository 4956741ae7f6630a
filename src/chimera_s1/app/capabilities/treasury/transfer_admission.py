"""Decides whether transfers are accepted and sent now."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.domain.errors import ChimeraError, ServiceStoppingError
from chimera_s1.domain.operations.trading_gate import Spending


class TreasuryDisabledError(ChimeraError):
    """No exchange key is configured."""

    code = "treasury.disabled"


class AccountNotClaimedError(ChimeraError):
    """The ledger may not move the account's money, or it is not known yet whether it may."""

    code = "treasury.account"


class ExchangeMaintenanceError(ChimeraError):
    """The exchange is in maintenance: no new transfer is accepted."""

    code = "exchange_maintenance"


class TransferAdmission(Struct, frozen=True, kw_only=True):
    """The conditions that block transfers, read at each check.

    Attributes:
        enabled: An exchange key is configured.
        gate: The kill switch and the trading mode.
        account_problem: Why this ledger may not move the account's money; empty if it may.
        wait_for_account: Waits for the first answer to that, for a few seconds at most.
        is_stopping: SIGTERM was received.
        maintenance: The exchange's words; empty outside of a maintenance.
        has_checked_maintenance: Before, transfers are accepted and wait.
    """

    enabled: bool
    gate: TradingGate
    account_problem: Callable[[], str]
    wait_for_account: Callable[[], Awaitable[None]]
    is_stopping: Callable[[], bool]
    maintenance: Callable[[], str]
    has_checked_maintenance: Callable[[], bool]

    def obstacle(self) -> ChimeraError | None:
        """The first condition that blocks transfers now; None if none does."""
        if not self.enabled:
            return TreasuryDisabledError(
                "no exchange key is configured here; set S1_BINANCE_KEY and S1_BINANCE_SECRET"
            )
        if self.is_stopping():
            return ServiceStoppingError(
                "the service is stopping; retry in a few seconds, or call another instance"
            )
        return self.gate.obstacle(Spending.TRANSFER) or self._exchange_obstacle()

    def _exchange_obstacle(self) -> ChimeraError | None:
        if problem := self.account_problem():
            return AccountNotClaimedError(problem)
        if maintenance := self.maintenance():
            return ExchangeMaintenanceError(
                f"the exchange is in maintenance ({maintenance}); retry in a few minutes"
            )
        return None

    async def check(self) -> None:
        """Check that a new transfer may be accepted.

        Raises:
            TreasuryDisabledError, ServiceStoppingError, KillSwitchOnError, ModeHaltedError,
                ModeUnknownError, AccountNotClaimedError, ExchangeMaintenanceError: The condition
                that blocks it; nothing was accepted.
        """
        await self.wait_for_account()
        if obstacle := self.obstacle():
            raise obstacle

    def blocking_reason(self) -> str:
        """Why an accepted transfer may not be sent now; empty if it may."""
        if not self.has_checked_maintenance():
            return "the exchange's status has not been read yet"
        return str(self.obstacle() or "")
