"""The environment of the seeded treasury model: an exchange in wallet mode, lossy connections, and
processes that crash.
"""

import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.ports.treasury_gateway import (
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
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import (
    ExecutionWindow,
    IncomeRow,
    Movement,
    MovementStatus,
)
from tests.fakes.treasury_gateway import ScriptedSignedTransfer
from tests.virtual_time import LoopClock

RECV_MS, EXECUTION_MS, LAG_MS, SKEW_MS, REPLY_MS = 5_000, 12_000, 30_000, 1_000, 12_000


class Crash(BaseException):
    """The process has crashed; a BaseException, so that no handler catches it."""


class ModelFault(StrEnum):
    REFUSED = "refused"
    EXECUTED_LATE = "executed late"
    SHOWN_LATE = "shown late"
    CRASH_BEFORE_SENDING = "crash before sending"
    PAUSE = "pause"
    CRASH_AFTER_SENDING = "crash after sending"
    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"
    SLOW_NETWORK = "slow network"


_PROBABILITIES = {
    ModelFault.REFUSED: 0.05,
    ModelFault.EXECUTED_LATE: 0.2,
    ModelFault.SHOWN_LATE: 0.3,
    ModelFault.CRASH_BEFORE_SENDING: 0.1,
    ModelFault.PAUSE: 0.2,
    ModelFault.CRASH_AFTER_SENDING: 0.1,
    ModelFault.REQUEST_LOST: 0.08,
    ModelFault.REPLY_LOST: 0.25,
    ModelFault.SLOW_NETWORK: 0.1,
}


class ExecutedTransfer(Struct):
    order: TransferSubmission
    movement: Movement
    visible_at: int


class ModelExchange:
    """Accepts by Binance's timing rule; executes late, and shows movements late."""

    def __init__(self, clock: LoopClock, chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.executed: list[ExecutedTransfer] = []
        self.sent: Counter[str] = Counter()
        self.faults: Counter[ModelFault] = Counter()

    def has(self, fault: ModelFault) -> bool:
        """Draw whether *fault* happens now, and count it."""
        happens = self.chance.random() < _PROBABILITIES[fault]
        self.faults[fault] += happens
        return happens

    async def handle(self, order: TransferSubmission) -> SubmissionReply:
        age_ms = self.clock.now_ms() - order.signed_at
        if age_ms > RECV_MS or age_ms < -SKEW_MS:
            return ReplyNotProcessed("-1021", 500, clock_suspect=True)
        if self.has(ModelFault.REFUSED):
            return ReplyRefused(FailureReason.REFUSED, "-5013")
        late = self.has(ModelFault.EXECUTED_LATE)
        await self.clock.sleep_ms(self.chance.uniform(0, EXECUTION_MS if late else 300))
        now = self.clock.now_ms()
        lag_ms = self.chance.uniform(0, LAG_MS) if self.has(ModelFault.SHOWN_LATE) else 100.0
        movement = Movement(
            str(1000 + len(self.executed)),
            order.direction,
            order.amount,
            MovementStatus.CONFIRMED,
            now,
        )
        self.executed.append(ExecutedTransfer(order, movement, round(now + lag_ms)))
        return ReplyAccepted(movement.tran_id)

    def visible_movements(self, window: ExecutionWindow) -> list[Movement]:
        now = self.clock.now_ms()
        return [
            each.movement
            for each in self.executed
            if each.visible_at <= now and window.start <= each.movement.moved_at <= window.end
        ]


class ModelGateway:
    """One instance's connection to the exchange: loses and delays, and crashes its process."""

    def __init__(
        self, exchange: ModelExchange, process: "SimulatedProcess", *, re_signs: bool
    ) -> None:
        self._exchange = exchange
        self._process = process
        self._chance = exchange.chance
        self._re_signs = re_signs

    @property
    def mode(self) -> TreasuryMode:
        return TreasuryMode.WALLET

    def sign(self, order: TransferSubmission) -> ScriptedSignedTransfer:
        return ScriptedSignedTransfer(order, TreasuryMode.WALLET)

    async def submit(
        self, signed: SignedTransfer, obstacle: Callable[[], str] = no_obstacle
    ) -> SubmissionReply:
        self._process.raise_if_crashed()
        assert isinstance(signed, ScriptedSignedTransfer)
        chance, clock = self._chance, self._exchange.clock
        if self._exchange.has(ModelFault.CRASH_BEFORE_SENDING):
            self._process.crash()
        if self._exchange.has(ModelFault.PAUSE):
            await clock.sleep_ms(chance.uniform(0, 40_000))  # the process is paused
        if cause := obstacle():
            return RequestNotSent(cause)
        order = signed.order
        if self._re_signs:
            order = replace(order, signed_at=round(clock.now_ms() + self._process.skew_ms))
        self._exchange.sent[order.client_id] += 1
        crashes = self._exchange.has(ModelFault.CRASH_AFTER_SENDING)
        reply = await self._send(order)
        if crashes:
            self._process.crash()
        self._process.raise_if_crashed()
        return reply

    async def _send(self, order: TransferSubmission) -> SubmissionReply:
        """The request reaches the exchange even if its reply is late or lost."""
        chance, clock = self._chance, self._exchange.clock
        answers: list[SubmissionReply] = []
        delivered = anyio.Event()
        request_lost = self._exchange.has(ModelFault.REQUEST_LOST)
        reply_lost = self._exchange.has(ModelFault.REPLY_LOST)
        slow = self._exchange.has(ModelFault.SLOW_NETWORK)
        net_ms = chance.uniform(0, 8_000 if slow else 1_500)

        async def deliver() -> None:
            await clock.sleep_ms(net_ms)
            answers.append(await self._exchange.handle(order))
            if not reply_lost:
                delivered.set()

        if not request_lost:
            self._process.world_tasks.start_soon(deliver)
        with anyio.move_on_after(REPLY_MS / 1000):
            await delivered.wait()
        return answers[0] if delivered.is_set() else ReplyUnknown("no reply")

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        await self._read()
        return tuple(
            m for m in self._exchange.visible_movements(window) if m.direction is direction
        )

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        await self._read()
        signs = {Direction.SPOT_TO_FUT: 1, Direction.FUT_TO_SPOT: -1}
        return tuple(
            IncomeRow(m.amount * signs[m.direction], m.moved_at)
            for m in self._exchange.visible_movements(window)
        )

    async def _read(self) -> None:
        await self._exchange.clock.sleep_ms(self._chance.uniform(10, 200))
        self._process.raise_if_crashed()


class SimulatedProcess:
    """One process; after a crash every call to its ports raises `Crash`."""

    def __init__(self, world_tasks: TaskGroup, skew_ms: float) -> None:
        self.world_tasks = world_tasks
        self.skew_ms = skew_ms
        self.crashed = False

    def raise_if_crashed(self) -> None:
        if self.crashed:
            raise Crash

    def crash(self) -> NoReturn:
        self.crashed = True
        raise Crash


class CrashablePort:
    """A port whose calls raise `Crash` once its process has crashed."""

    def __init__(self, port: object, process: SimulatedProcess) -> None:
        self._port = port
        self._process = process

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        async def call(*args: object, **named: object) -> object:
            self._process.raise_if_crashed()
            result = await found(*args, **named)
            self._process.raise_if_crashed()
            return result

        return call
