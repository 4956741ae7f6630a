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
    Accepted,
    Refused,
    Reply,
    SignedTransfer,
    TransferOrder,
    TurnedAway,
    Unknown,
)
from chimera_s1.domain.treasury.events import FailureKind, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import (
    IncomeRow,
    Movement,
    MovementStatus,
    Window,
)

_AHEAD_MAX_MS = 1_000
_RICH = {Wallet.SPOT: Decimal(1_000_000), Wallet.FUTURES: Decimal(1_000_000)}


class Misbehaviour(Struct, frozen=True, kw_only=True):
    """What the exchange does with one request, instead of executing it and saying so.

    Attributes:
        executes: Whether money moves; the rules are checked first, as for any request.

        after_ms: How much later it moves.

        status: Of the movement in the history; FAILED moves nothing.

        reply: What the caller hears; None for the truth.

        hold: The caller hears it once this is set.
    """

    executes: bool = False
    after_ms: int = 0
    status: MovementStatus = MovementStatus.CONFIRMED
    reply: Reply | None = None
    hold: anyio.Event | None = None


class MemorySignedTransfer:
    """A `SignedTransfer`: the order, and whether it was sent."""

    def __init__(self, order: TransferOrder, mode: TreasuryMode) -> None:
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

        sent: The order of each request that was sent, in order.

        book: Every movement there is, also those that happen later.

        orders: Which order made a movement, by `tran_id`; a human's has none.

        foreign_income: Rows of the futures income that no movement explains.

        history_lag_ms: How long after a movement its row is in the wallet's history.

        income_lag_ms: The same for the futures income.

        offset_ms: How far the exchange's clock is ahead of ours.

        failure: Raised by every read until it is set back.

        failures: So many next reads are incomplete.

        reads: Reads that were answered, both kinds together.

        permissions: Of our key; what it may not do is refused.
    """

    def __init__(
        self,
        clock: Clock,
        mode: TreasuryMode = TreasuryMode.WALLET,
        balances: Mapping[Wallet, Decimal] = _RICH,
    ) -> None:
        """Args:
        clock: Ours; the exchange's differs from it by `offset_ms`.

        mode: In `SUBACCOUNT` the history shows the client ids, and one is used once.

        balances: At the start, USDT.
        """
        self.script: deque[Misbehaviour] = deque()
        self.sent: list[TransferOrder] = []
        self.book: list[Movement] = []
        self.orders: dict[str, TransferOrder] = {}
        self.foreign_income: list[IncomeRow] = []
        self.history_lag_ms = 0
        self.income_lag_ms = 0
        self.offset_ms = 0
        self.failure: ChimeraError | None = None
        self.failures = 0
        self.reads = 0
        self.permissions = KeyPermissions(
            may_read=True, may_transfer=True, may_withdraw=False, ip_restricted=True
        )
        self._clock = clock
        self._mode = mode
        self._balances = dict(balances)
        self._last_tran_id = 13_526_853_600
        self._news = anyio.Event()

    @property
    def mode(self) -> TreasuryMode:
        """As made."""
        return self._mode

    @property
    def exchange_ms(self) -> int:
        """The exchange's clock."""
        return self._clock.now_ms() + self.offset_ms

    def balance(self, wallet: Wallet) -> Decimal:
        """What lies in *wallet* now, USDT."""
        moved = [m for m in self.book if m.moved_at <= self.exchange_ms and _moves(m)]
        gained = sum((m.amount for m in moved if m.direction.target is wallet), Decimal(0))
        lost = sum((m.amount for m in moved if m.direction.source is wallet), Decimal(0))
        return self._balances[wallet] + gained - lost

    def move(
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
        self.book.append(row)
        return row

    def settle(self, tran_id: str, status: MovementStatus) -> None:
        """Give the movement *tran_id* another status."""
        self.book = [replace(m, status=status) if m.tran_id == tran_id else m for m in self.book]

    async def until_sent(self, count: int = 1) -> None:
        """Return once *count* requests have been sent in all."""
        while len(self.sent) < count:
            await self._news.wait()

    def sign(self, order: TransferOrder) -> MemorySignedTransfer:
        """Keep *order*."""
        return MemorySignedTransfer(order, self._mode)

    async def submit(self, signed: SignedTransfer) -> Reply:
        """Do what the script says, or move the money."""
        if not isinstance(signed, MemorySignedTransfer):
            raise TypeError("a gateway sends what it has signed itself")
        if signed.sent:
            raise RuntimeError("this transfer was already sent; sign a new one for a new attempt")
        signed.sent = True
        self.sent.append(signed.order)
        self._news.set()
        self._news = anyio.Event()
        await checkpoint()
        turn = self.script.popleft() if self.script else Misbehaviour(executes=True)
        reply = self._execute(signed.order, turn)
        if turn.hold is not None:
            await turn.hold.wait()
        return reply

    async def movements(self, direction: Direction, window: Window) -> tuple[Movement, ...]:
        """Rows of the book that have become visible."""
        await self._answer()
        return tuple(
            m
            for m in self.book
            if m.direction is direction
            and window.start <= m.moved_at <= window.end
            and m.moved_at + self.history_lag_ms <= self.exchange_ms
        )

    async def income(self, window: Window) -> tuple[IncomeRow, ...]:
        """The futures side of the book, as far as it has become visible, and `foreign_income`."""
        await self._answer()
        rows = [_income_row(movement) for movement in self.book if _moves(movement)]
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

    def _execute(self, order: TransferOrder, turn: Misbehaviour) -> Reply:
        refusal = self._refusal(order) if turn.executes else None
        if refusal is None and turn.executes:
            row = self.move(
                order.direction,
                order.amount,
                after_ms=turn.after_ms,
                status=turn.status,
                client_id=order.client_id,
            )
            self.orders[row.tran_id] = order
            return turn.reply or Accepted(row.tran_id)
        return turn.reply or refusal or Unknown("no reply came")

    def _refusal(self, order: TransferOrder) -> Reply | None:
        if not self.permissions.may_transfer:
            return Refused(FailureKind.FORBIDDEN, "401 -2015 the key may not transfer")
        late_ms = self.exchange_ms - order.signed_at
        if not -_AHEAD_MAX_MS < late_ms <= order.recv_window_ms:
            return TurnedAway("-1021 outside of the recvWindow", 0, clock_doubted=True)
        if self._mode is TreasuryMode.SUBACCOUNT and any(
            m.client_id == order.client_id for m in self.book
        ):
            return Unknown("-4115 ClientTranId is duplicated")
        if order.amount > self.balance(order.direction.source):
            return Refused(
                FailureKind.REFUSED,
                f"-5013 insufficient balance for {exact_text(order.amount)} USDT",
            )
        return None

    async def _answer(self) -> None:
        await checkpoint()
        if self.failure is not None:
            raise self.failure
        if not self.permissions.may_read:
            raise ExchangeRefusedError("401 -2015 the key may not read")
        if self.failures > 0:
            self.failures -= 1
            raise ExchangeUnavailableError("a page of the history is missing")
        self.reads += 1


def _moves(movement: Movement) -> bool:
    return movement.status is not MovementStatus.FAILED


def _income_row(movement: Movement) -> IncomeRow:
    match movement.direction:
        case Direction.SPOT_TO_FUTURES:
            return IncomeRow(movement.amount, movement.moved_at)
        case Direction.FUTURES_TO_SPOT:
            return IncomeRow(-movement.amount, movement.moved_at)
        case _:
            assert_never(movement.direction)
