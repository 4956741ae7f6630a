"""The one account: its two USDT wallets and the money that moves between them.

Evaluation is lazy: every call first runs what is due by now, in the order of its times. So setting
the clock forward brings the future at once.
"""

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.account.movements import (
    Income,
    Movement,
    MovementStatus,
    Origin,
    TransferType,
    WalletName,
)
from chimera_s1.adapters.simulator.clock import ScaledClock

MOVEMENTS_KEPT = 100_000
_FIRST_INCOME_ID = 9_689_322_392


class TransferBehaviour(Struct, frozen=True):
    """How slow the exchange is, in milliseconds of its own time.

    Attributes:
        history_lag_ms: Age at which a movement appears in the histories.
        income_lag_ms: The same for the futures income; None means equal to history_lag_ms.
        execution_delay_ms: From acceptance, and its reply, to execution.
        pending_ms: From execution to settlement, when the money arrives.
        pending_ends: Status after settlement; FAILED gives the money back.
    """

    history_lag_ms: int = 0
    income_lag_ms: int | None = None
    execution_delay_ms: int = 0
    pending_ms: int = 0
    pending_ends: MovementStatus = MovementStatus.CONFIRMED


class Permissions(Struct, frozen=True):
    """What the API key may do."""

    reading: bool = True
    universal_transfer: bool = True
    internal_transfer: bool = True
    withdrawals: bool = False
    futures: bool = True
    spot_trading: bool = True
    ip_restrict: bool = False


class InsufficientBalanceError(Exception):
    """The wallet holds less than the amount."""


class Account:
    """Two wallets, and the movements between them.

    Attributes:
        maintenance: Transfers are refused, and the system's status says why.
        local_timestamps: Signed requests have this machine's time, and not the exchange's.
        on_transferred: Called with each change of a wallet by a movement, and its exchange time.
        margin_in_use: What cannot be moved out of the futures wallet.
        notional_coef: Multiplies the caps of the leverage brackets; None where Binance sends none.
        behaviour, permissions: May be replaced at any time. Lags apply to everything read from now
            on, delays to everything accepted from now on.
    """

    def __init__(
        self,
        balances: Mapping[WalletName, Decimal],
        clock: ScaledClock,
        record: Callable[[Movement], None],
    ) -> None:
        """Open the account.

        Args:
            balances: At the start.
            clock: The exchange's.
            record: Called with every movement when it is executed, and again if it fails later.
        """
        self.behaviour = TransferBehaviour()
        self.permissions = Permissions()
        self.maintenance = False
        self.local_timestamps = False
        self.notional_coef: float | None = None
        self.on_transferred: Callable[[WalletName, Decimal, int], None] = _ignore
        self.margin_in_use: Callable[[], Decimal] = Decimal
        # The exchange never reuses a number; neither may a simulator that is restarted.
        self._first_tran_id = clock.now_ms() * 1_000
        self._balances = dict(balances)
        self._clock = clock
        self._record = record
        self._movements: deque[Movement] = deque(maxlen=MOVEMENTS_KEPT)
        self._income: deque[Income] = deque(maxlen=MOVEMENTS_KEPT)
        self._due: list[tuple[int, int, Movement]] = []
        self._accepted_count = 0
        self._income_count = 0

    def transfer(
        self, kind: TransferType, amount: Decimal, origin: Origin, client_tran_id: str = ""
    ) -> Movement:
        """Accept a movement; one from the web site is executed and settled at once.

        Raises:
            InsufficientBalanceError: Less than *amount* can be moved out of the source wallet now.
        """
        now = self.run_due()
        if amount > self._movable(kind.source):
            raise InsufficientBalanceError
        behaviour = TransferBehaviour() if origin is Origin.WEB else self.behaviour
        executed_ms = now + behaviour.execution_delay_ms
        movement = Movement(
            tran_id=self._first_tran_id + 7 * self._accepted_count,
            type=kind,
            amount=amount,
            origin=origin,
            client_tran_id=client_tran_id,
            accepted_ms=now,
            executed_ms=executed_ms,
            settled_ms=executed_ms + behaviour.pending_ms,
            final_status=_final_status(behaviour),
        )
        self._accept(movement)
        return movement

    def _movable(self, wallet: WalletName) -> Decimal:
        in_use = self.margin_in_use() if wallet is WalletName.FUT else Decimal(0)
        return self._balances[wallet] - in_use

    def _accept(self, movement: Movement) -> None:
        self._accepted_count += 1
        self._movements.append(movement)
        self._schedule(movement.executed_ms, movement)
        self.run_due()

    def balance(self, wallet: WalletName) -> Decimal:
        """Of the futures wallet, the margin in use included."""
        self.run_due()
        return self._balances[wallet]

    def set_balance(self, wallet: WalletName, amount: Decimal) -> None:
        """As if by a deposit or a withdrawal: no movement, no income."""
        self.run_due()
        self._balances[wallet] = amount

    def change_balance(self, wallet: WalletName, change: Decimal) -> None:
        """As by a trade, or a lock of money: no movement, no income."""
        self.run_due()
        self._balances[wallet] += change

    def in_transit(self) -> Decimal:
        """What left one wallet and has not arrived in the other."""
        moving = (each.amount for each in self.movements() if each.status is MovementStatus.PENDING)
        return sum(moving, Decimal(0))

    def movements(self) -> list[Movement]:
        """All accepted movements, newest first."""
        self.run_due()
        return list(reversed(self._movements))

    def history(self) -> list[Movement]:
        """The movements the histories show by now, newest first."""
        shown_ms = self._clock.now_ms() - self.behaviour.history_lag_ms
        return [
            each
            for each in self.movements()
            if each.status is not MovementStatus.WAITING and each.executed_ms <= shown_ms
        ]

    @property
    def income_lag_ms(self) -> int:
        """Age at which a change appears in the futures income."""
        lag_ms = self.behaviour.income_lag_ms
        return self.behaviour.history_lag_ms if lag_ms is None else lag_ms

    def income(self) -> list[Income]:
        """The transfers that the futures income shows by now, oldest first."""
        self.run_due()
        shown_ms = self._clock.now_ms() - self.income_lag_ms
        return [each for each in self._income if each.at_ms <= shown_ms]

    def run_due(self) -> int:
        """Execute and settle what is due; the exchange's time now."""
        now = self._clock.now_ms()
        while self._due and self._due[0][0] <= now:
            _, _, movement = heapq.heappop(self._due)
            if movement.status is MovementStatus.WAITING:
                self._execute(movement)
            else:
                self._settle(movement)
        return now

    def _schedule(self, at_ms: int, movement: Movement) -> None:
        heapq.heappush(self._due, (at_ms, movement.tran_id, movement))

    def _execute(self, movement: Movement) -> None:
        if movement.amount > self._movable(movement.type.source):
            movement.status = MovementStatus.FAILED
            return
        self._post(movement.type.source, -movement.amount, movement.executed_ms)
        movement.status = MovementStatus.PENDING
        if movement.settled_ms > movement.executed_ms:
            self._schedule(movement.settled_ms, movement)
        else:
            self._settle(movement)
        self._record(movement)

    def _settle(self, movement: Movement) -> None:
        movement.status = movement.final_status
        failed = movement.final_status is MovementStatus.FAILED
        wallet = movement.type.source if failed else movement.type.target
        self._post(wallet, movement.amount, movement.settled_ms)
        if failed:
            self._record(movement)

    def _post(self, wallet: WalletName, change: Decimal, at_ms: int) -> None:
        self._balances[wallet] += change
        self.on_transferred(wallet, change, at_ms)
        if wallet is WalletName.FUT:
            self._income.append(Income(change, at_ms, _FIRST_INCOME_ID + 3 * self._income_count))
            self._income_count += 1


def _final_status(behaviour: TransferBehaviour) -> MovementStatus:
    return behaviour.pending_ends if behaviour.pending_ms else MovementStatus.CONFIRMED


def _ignore(_wallet: WalletName, _change: Decimal, _at_ms: int) -> None:
    """No user stream is attached."""
