"""A treasury gateway with two wallets in memory, and scripted responses."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import assert_never

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_status import ExchangeStatus
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import (
    HistoryIncompleteError,
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    RequestNotSent,
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
    no_obstacle,
)
from chimera_s1.domain.treasury.events import FailureReason, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import (
    ExecutionWindow,
    IncomeRow,
    Movement,
    MovementStatus,
)

_TIMESTAMP_AHEAD_MAX_MS = 1_000
_DEFAULT_BALANCES = {Wallet.SPOT: Decimal(1_000_000), Wallet.FUT: Decimal(1_000_000)}


class ScriptedResponse(Struct, frozen=True, kw_only=True):
    """How one request is handled.

    Attributes:
        executes: Whether money moves; the rules are checked first.
        after_ms: Delay of the movement.
        status: Of the movement in the history; FAILED moves nothing.
        reply: None for the true reply.
        release_event: The reply is delayed until this is set.
    """

    executes: bool = False
    after_ms: int = 0
    status: MovementStatus = MovementStatus.CONFIRMED
    reply: SubmissionReply | None = None
    release_event: anyio.Event | None = None


class ScriptedSignedTransfer:
    def __init__(self, order: TransferSubmission, mode: TreasuryMode) -> None:
        self.order = order
        self.sent = False
        self._mode = mode

    @property
    def request_hash(self) -> str:
        return sha256(f"{self._mode.value} {self.order}".encode()).hexdigest()


class ScriptedTreasuryGateway:
    """Implements `domain.ports.treasury_gateway.TreasuryGateway`,
    `domain.ports.key_permissions.KeyPermissionsReader`,
    `domain.ports.account_reader.AccountReader` and
    `domain.ports.exchange_status.ExchangeStatusReader`.

    Attributes:
        script: For the next requests, in order; later ones execute with a true reply.
        sent_orders: In order.
        movements_made: Also those with a delay.
        orders_by_tran_id: Without movements from `add_movement`.
        foreign_income: Rows of the futures income without a movement.
        history_lag_ms: Delay from a movement to its row in the history.
        income_lag_ms: Delay from a movement to its row in the futures income.
        clock_offset_ms: How far the exchange's clock is ahead of ours.
        connect_ms: How long it takes to connect, before a request is sent.
        read_error: Raised by every read while set.
        unusable_row: What the adapter says of a row of the wallet's history that cannot be used;
            empty where there is none.
        unusable_until: Its time, exchange epoch ms: later windows do not hold it.
        incomplete_reads: How many of the next reads are incomplete.
        completed_reads: Of both kinds.
        uid: Of the account.
        permissions: Of our key; other requests are refused.
        status: Of the exchange; in maintenance every order has an unknown outcome.
    """

    def __init__(
        self,
        clock: Clock,
        mode: TreasuryMode = TreasuryMode.WALLET,
        balances: Mapping[Wallet, Decimal] = _DEFAULT_BALANCES,
    ) -> None:
        """Args:
        mode: In `SUBACCOUNT` the history shows client ids, and each can be used once.
        balances: At the start, USDT.
        """
        self.script: deque[ScriptedResponse] = deque()
        self.sent_orders: list[TransferSubmission] = []
        self.movements_made: list[Movement] = []
        self.orders_by_tran_id: dict[str, TransferSubmission] = {}
        self.foreign_income: list[IncomeRow] = []
        self.history_lag_ms = 0
        self.income_lag_ms = 0
        self.clock_offset_ms = 0
        self.connect_ms = 0.0
        self.read_error: ChimeraError | None = None
        self.unusable_row = ""
        self.unusable_until: float = math.inf
        self.incomplete_reads = 0
        self.completed_reads = 0
        self.uid = "354937868"
        self.permissions = KeyPermissions(
            may_read=True,
            may_transfer=True,
            may_use_futures=True,
            may_withdraw=False,
            ip_restricted=True,
        )
        self.status = ExchangeStatus()
        self._clock = clock
        self._mode = mode
        self._balances = dict(balances)
        self._last_tran_id = 13_526_853_600
        self._sent_event = anyio.Event()

    @property
    def mode(self) -> TreasuryMode:
        return self._mode

    @property
    def exchange_ms(self) -> int:
        return self._clock.now_ms() + self.clock_offset_ms

    def balance(self, wallet: Wallet) -> Decimal:
        moved = [m for m in self.movements_made if m.moved_at <= self.exchange_ms and _has_moved(m)]
        gained = sum((m.amount for m in moved if m.direction.target is wallet), Decimal(0))
        lost = sum((m.amount for m in moved if m.direction.source is wallet), Decimal(0))
        return self._balances[wallet] + gained - lost

    def add_movement(
        self,
        direction: Direction,
        amount: Decimal,
        *,
        after_ms: int = 0,
        status: MovementStatus = MovementStatus.CONFIRMED,
        client_id: str = "",
    ) -> Movement:
        """Move money without a request of ours, as a user does on the exchange's website."""
        self._last_tran_id += 1
        shown_id = client_id if self._mode is TreasuryMode.SUBACCOUNT else ""
        moved_at = self.exchange_ms + after_ms
        row = Movement(str(self._last_tran_id), direction, amount, status, moved_at, shown_id)
        self.movements_made.append(row)
        return row

    def set_status(self, tran_id: str, status: MovementStatus) -> None:
        self.movements_made = [
            replace(m, status=status) if m.tran_id == tran_id else m for m in self.movements_made
        ]

    async def wait_until_sent(self, count: int = 1) -> None:
        """Until *count* requests have been sent in total."""
        while len(self.sent_orders) < count:
            await self._sent_event.wait()

    def sign(self, order: TransferSubmission) -> ScriptedSignedTransfer:
        return ScriptedSignedTransfer(order, self._mode)

    async def submit(
        self, signed: SignedTransfer, obstacle: Callable[[], str] = no_obstacle
    ) -> SubmissionReply:
        if not isinstance(signed, ScriptedSignedTransfer):
            raise TypeError("transfer was signed by another gateway")
        if signed.sent:
            raise RuntimeError("this transfer was already sent; sign a new one for a new attempt")
        signed.sent = True
        if self.connect_ms:
            await self._clock.sleep_ms(self.connect_ms)
        if cause := obstacle():
            return RequestNotSent(cause)
        self.sent_orders.append(signed.order)
        self._sent_event.set()
        self._sent_event = anyio.Event()
        await checkpoint()
        response = self.script.popleft() if self.script else ScriptedResponse(executes=True)
        reply = self._execute(signed.order, response)
        if response.release_event is not None:
            await response.release_event.wait()
        return reply

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        await self._check_readable()
        found = tuple(
            m
            for m in self.movements_made
            if m.direction is direction
            and window.start <= m.moved_at <= window.end
            and m.moved_at + self.history_lag_ms <= self.exchange_ms
        )
        if self.unusable_row and window.start <= self.unusable_until:
            raise HistoryIncompleteError(self.unusable_row, found)
        return found

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        await self._check_readable()
        rows = [_income_row(movement) for movement in self.movements_made if _has_moved(movement)]
        return tuple(
            row
            for row in (*rows, *self.foreign_income)
            if window.start <= row.moved_at <= window.end
            and row.moved_at + self.income_lag_ms <= self.exchange_ms
        )

    async def account_uid(self) -> str:
        await self._check_readable()
        return self.uid

    async def key_permissions(self) -> KeyPermissions:
        await checkpoint()
        return self.permissions

    async def exchange_status(self) -> ExchangeStatus:
        await checkpoint()
        return self.status

    def _execute(self, order: TransferSubmission, response: ScriptedResponse) -> SubmissionReply:
        refusal = self._rule_reply(order) if response.executes else None
        if refusal is None and response.executes:
            row = self.add_movement(
                order.direction,
                order.amount,
                after_ms=response.after_ms,
                status=response.status,
                client_id=order.client_id,
            )
            self.orders_by_tran_id[row.tran_id] = order
            return response.reply or ReplyAccepted(row.tran_id)
        return response.reply or refusal or ReplyUnknown("no reply")

    def _rule_reply(self, order: TransferSubmission) -> SubmissionReply | None:
        if not self.permissions.may_transfer:
            return ReplyRefused(FailureReason.FORBIDDEN, "401 -2015 the key may not transfer")
        if self.status.maintenance:
            return ReplyUnknown("-1016 this service is no longer available")
        late_ms = self.exchange_ms - order.signed_at
        if not -_TIMESTAMP_AHEAD_MAX_MS < late_ms <= order.recv_window_ms:
            return ReplyNotProcessed("-1021 outside of the recvWindow", 0, clock_suspect=True)
        if self._mode is TreasuryMode.SUBACCOUNT and any(
            m.client_id == order.client_id for m in self.movements_made
        ):
            return ReplyUnknown("-4115 ClientTranId is duplicated")
        if order.amount > self.balance(order.direction.source):
            return ReplyRefused(
                FailureReason.REFUSED,
                f"-5013 insufficient balance for {exact_text(order.amount)} USDT",
            )
        return None

    async def _check_readable(self) -> None:
        await checkpoint()
        if self.read_error is not None:
            raise self.read_error
        if not self.permissions.may_read:
            raise ExchangeRefusedError("401 -2015 the key may not read")
        if self.incomplete_reads > 0:
            self.incomplete_reads -= 1
            raise ExchangeUnavailableError("a page of the history is missing")
        self.completed_reads += 1


def _has_moved(movement: Movement) -> bool:
    return movement.status is not MovementStatus.FAILED


def _income_row(movement: Movement) -> IncomeRow:
    match movement.direction:
        case Direction.SPOT_TO_FUT:
            return IncomeRow(movement.amount, movement.moved_at)
        case Direction.FUT_TO_SPOT:
            return IncomeRow(-movement.amount, movement.moved_at)
        case _:
            assert_never(movement.direction)
