"""Whether money may move now."""

from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.trading_mode import TradingMode


class KillSwitchOnError(ChimeraError):
    """The kill switch is on: nothing new is accepted."""

    code = "kill_switch"


class TreasuryDisabledError(ChimeraError):
    """There is no key to move money with."""

    code = "treasury.disabled"


class ModeHaltedError(ChimeraError):
    """The service is HALTED: it refuses all that spends."""

    code = "mode_halted"


class ServiceStoppingError(ChimeraError):
    """The service is stopping: it accepts nothing new."""

    code = "service.stopping"


class SpendingAdmission(Struct, frozen=True, kw_only=True):
    """The facts that stand against moving money; each is asked at the moment it matters.

    Attributes:
        enabled: There is a key.
        kill_switch_on: It is on, or was when it could last be read.
        is_stopping: SIGTERM has arrived.
    """

    enabled: bool
    kill_switch_on: Callable[[], bool]
    mode: Callable[[], TradingMode]
    is_stopping: Callable[[], bool]

    def obstacle(self) -> ChimeraError | None:
        """Why nothing may be spent now; None where it may."""
        if not self.enabled:
            return TreasuryDisabledError(
                "no exchange key is configured here; set S1_BINANCE_KEY and S1_BINANCE_SECRET"
            )
        if self.is_stopping():
            return ServiceStoppingError(
                "the service is stopping; ask another instance, or soon again"
            )
        if self.kill_switch_on():
            return KillSwitchOnError(
                "the kill switch is on; nothing new is accepted until it is off"
            )
        if self.mode() is TradingMode.HALTED:
            return ModeHaltedError("the service is HALTED; it refuses all that spends")
        return None

    def check(self) -> None:
        """Let a new transfer in.

        Raises:
            TreasuryDisabledError, ServiceStoppingError, KillSwitchOnError, ModeHaltedError: One of
                them stands against it; nothing was accepted.
        """
        if obstacle := self.obstacle():
            raise obstacle

    def blocking_reason(self) -> str:
        """What stands against sending what was accepted before; empty where nothing does."""
        return str(self.obstacle() or "")
