"""An exchange with two wallets in memory: honest unless a script says otherwise."""

from collections import deque
from collections.abc import Mapping
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
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
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
_DEFAULT_BALANCES = {Wallet.SPOT: Decimal(1_000_000), Wallet.FUTURES: Decimal(1_000_000)}


class ScriptedResponse(Struct, frozen=True, kw_only=True):
    """What the exchange does with one request, instead of executing it and saying so.

    Attributes:
        executes: Whether money moves; the rules are checked first, as for any request.

        after_ms: How much later it moves.

        status: Of the movement in the history; FAILED moves nothing.

        reply: What the caller hears; None for the truth.

        release_event: The caller hears it once this is set.
    """

    executes: bool = False
    after_ms: int = 0
    status: MovementStatus = MovementStatus.CONFIRMED
    reply: SubmissionReply | None = None
    release_event: anyio.Event | None = None


class ScriptedSignedTransfer:
    """A `SignedTransfer`: the order, and whether it was sent."""

    def __init__(self, order: TransferSubmission, mode: TreasuryMode) -> None:
        self.order = order
        self.sent = False
        self._mode = mode

    @property
    def request_hash(self) -> str:
        """SHA-256 of the order."""
        return sha256(f"{self._mode.value} {self.order}".encode()).hexdigest()


class ScriptedTreasuryGateway:
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` and
    `domain.ports.key_permissions.KeyPermissionsReader`.

    Attributes:
        script: What is done with the next requests, the first first; once it is used up, the
            exchange is honest.

        sent_orders: The order of each request that was sent, in order.

        movements_made: Every movement there is, also those that happen later.

        orders_by_tran_id: Which order made a movement, by `tran_id`; a human's has none.

        foreign_income: Rows of the futures income that no movement explains.

        history_lag_ms: How long after a movement its row is in the wallet's history.

        income_lag_ms: The same for the futures income.

        clock_offset_ms: How far the exchange's clock is ahead of ours.

        read_error: Raised by every read until it is set back.

        incomplete_reads: So many next reads are incomplete.

        completed_reads: Reads that were answered, both kinds together.

        permissions: Of our key; what it may not do is refused.
    """

    def __init__(
        self,
        clock: Clock,
        mode: TreasuryMode = TreasuryMode.WALLET,
        balances: Mapping[Wallet, Decimal] = _DEFAULT_BALANCES,
    ) -> None:
        """Args:
        clock: Ours; the exchange's differs from it by `offset_ms`.

        mode: In `SUBACCOUNT` the history shows the client ids, and one is used once.

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
        self.read_error: ChimeraError | None = None
        self.incomplete_reads = 0
        self.completed_reads = 0
        self.permissions = KeyPermissions(
            may_read=True, may_transfer=True, may_withdraw=False, ip_restricted=True
        )
        self._clock = clock
        self._mode = mode
        self._balances = dict(balances)
        self._last_tran_id = 13_526_853_600
        self._sent_event = anyio.Event()

    @property
    def mode(self) -> TreasuryMode:
        """As made."""
        return self._mode

    @property
    def exchange_ms(self) -> int:
        """The exchange's clock."""
        return self._clock.now_ms() + self.clock_offset_ms

    def balance(self, wallet: Wallet) -> Decimal:
        """What lies in *wallet* now, USDT."""
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
        """Move money without a request of ours, as a human does on the exchange's own pages."""
        self._last_tran_id += 1
        shown_id = client_id if self._mode is TreasuryMode.SUBACCOUNT else ""
        moved_at = self.exchange_ms + after_ms
        row = Movement(str(self._last_tran_id), direction, amount, status, moved_at, shown_id)
        self.movements_made.append(row)
        return row

    def set_status(self, tran_id: str, status: MovementStatus) -> None:
        """Give the movement *tran_id* another status."""
        self.movements_made = [
            replace(m, status=status) if m.tran_id == tran_id else m for m in self.movements_made
        ]

    async def wait_until_sent(self, count: int = 1) -> None:
        """Return once *count* requests have been sent in all."""
        while len(self.sent_orders) < count:
            await self._sent_event.wait()

    def sign(self, order: TransferSubmission) -> ScriptedSignedTransfer:
        """Keep *order*."""
        return ScriptedSignedTransfer(order, self._mode)

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        """Do what the script says, or move the money."""
        if not isinstance(signed, ScriptedSignedTransfer):
            raise TypeError("a gateway sends what it has signed itself")
        if signed.sent:
            raise RuntimeError("this transfer was already sent; sign a new one for a new attempt")
        signed.sent = True
        self.sent_orders.append(signed.order)
        self._sent_event.set()
        self._sent_event = anyio.Event()
        await checkpoint()
        turn = self.script.popleft() if self.script else ScriptedResponse(executes=True)
        reply = self._execute(signed.order, turn)
        if turn.release_event is not None:
            await turn.release_event.wait()
        return reply

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        """Rows of the book that have become visible."""
        await self._check_readable()
        return tuple(
            m
            for m in self.movements_made
            if m.direction is direction
            and window.start <= m.moved_at <= window.end
            and m.moved_at + self.history_lag_ms <= self.exchange_ms
        )

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        """The futures side of the book, as far as it has become visible, and `foreign_income`."""
        await self._check_readable()
        rows = [_income_row(movement) for movement in self.movements_made if _has_moved(movement)]
        return tuple(
            row
            for row in (*rows, *self.foreign_income)
            if window.start <= row.moved_at <= window.end
            and row.moved_at + self.income_lag_ms <= self.exchange_ms
        )

    async def key_permissions(self) -> KeyPermissions:
        """As set."""
        await checkpoint()
        return self.permissions

    def _execute(self, order: TransferSubmission, turn: ScriptedResponse) -> SubmissionReply:
        refusal = self._rule_reply(order) if turn.executes else None
        if refusal is None and turn.executes:
            row = self.add_movement(
                order.direction,
                order.amount,
                after_ms=turn.after_ms,
                status=turn.status,
                client_id=order.client_id,
            )
            self.orders_by_tran_id[row.tran_id] = order
            return turn.reply or ReplyAccepted(row.tran_id)
        return turn.reply or refusal or ReplyUnknown("no reply came")

    def _rule_reply(self, order: TransferSubmission) -> SubmissionReply | None:
        if not self.permissions.may_transfer:
            return ReplyRefused(FailureReason.FORBIDDEN, "401 -2015 the key may not transfer")
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
        case Direction.SPOT_TO_FUTURES:
            return IncomeRow(movement.amount, movement.moved_at)
        case Direction.FUTURES_TO_SPOT:
            return IncomeRow(-movement.amount, movement.moved_at)
        case _:
            assert_never(movement.direction)
