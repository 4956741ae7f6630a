"""The far side of the seeded treasury model: an exchange that knows no ids, lines that lose,
processes that die.
"""

import random
from collections import Counter
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
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
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
    """The process is gone; no handler sees it."""


class Executed(Struct):
    """What really happened at the exchange."""

    order: TransferSubmission
    movement: Movement
    shown_at: int


class ModelExchange:
    """Accepts by Binance's timing rule, executes late, shows late."""

    def __init__(self, clock: LoopClock, chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.executed: list[Executed] = []
        self.sent: Counter[str] = Counter()

    async def arrive(self, order: TransferSubmission) -> SubmissionReply:
        age_ms = self.clock.now_ms() - order.signed_at
        if age_ms > RECV_MS or age_ms < -SKEW_MS:
            return ReplyNotProcessed("-1021", 500, clock_suspect=True)
        if self.chance.random() < 0.05:
            return ReplyRefused(FailureReason.REFUSED, "-5013")
        late = self.chance.random() < 0.2
        await self.clock.sleep_ms(self.chance.uniform(0, EXECUTION_MS if late else 300))
        now = self.clock.now_ms()
        lag_ms = self.chance.uniform(0, LAG_MS) if self.chance.random() < 0.3 else 100.0
        movement = Movement(
            str(1000 + len(self.executed)),
            order.direction,
            order.amount,
            MovementStatus.CONFIRMED,
            now,
        )
        self.executed.append(Executed(order, movement, round(now + lag_ms)))
        return ReplyAccepted(movement.tran_id)

    def shown(self, window: ExecutionWindow) -> list[Movement]:
        now = self.clock.now_ms()
        return [
            each.movement
            for each in self.executed
            if each.shown_at <= now and window.start <= each.movement.moved_at <= window.end
        ]


class ModelGateway:
    """One instance's line to the exchange; it loses, delays, and dies with its process."""

    def __init__(self, exchange: ModelExchange, life: "Life", *, resigns: bool) -> None:
        self._exchange = exchange
        self._life = life
        self._chance = exchange.chance
        self._resigns = resigns

    @property
    def mode(self) -> TreasuryMode:
        return TreasuryMode.WALLET

    def sign(self, order: TransferSubmission) -> ScriptedSignedTransfer:
        return ScriptedSignedTransfer(order, TreasuryMode.WALLET)

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        self._life.check()
        assert isinstance(signed, ScriptedSignedTransfer)
        chance, clock = self._chance, self._exchange.clock
        if chance.random() < 0.1:
            self._life.end()
        if chance.random() < 0.2:
            await clock.sleep_ms(chance.uniform(0, 40_000))  # the process is stopped for a while
        order = signed.order
        if self._resigns:
            order = replace(order, signed_at=round(clock.now_ms() + self._life.skew_ms))
        self._exchange.sent[order.client_id] += 1
        dies = chance.random() < 0.1
        reply = await self._ask(order)
        if dies:
            self._life.end()
        self._life.check()
        return reply

    async def _ask(self, order: TransferSubmission) -> SubmissionReply:
        """The request goes its way whether or not anybody hears of it in time."""
        chance, clock = self._chance, self._exchange.clock
        answers: list[SubmissionReply] = []
        heard = anyio.Event()
        lost, unheard = chance.random() < 0.08, chance.random() < 0.25
        slow = chance.random() < 0.1
        net_ms = chance.uniform(0, 8_000 if slow else 1_500)

        async def travel() -> None:
            await clock.sleep_ms(net_ms)
            answers.append(await self._exchange.arrive(order))
            if not unheard:
                heard.set()

        if not lost:
            self._life.world_tasks.start_soon(travel)
        with anyio.move_on_after(REPLY_MS / 1000):
            await heard.wait()
        return answers[0] if heard.is_set() else ReplyUnknown("no reply")

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        await self._read()
        return tuple(m for m in self._exchange.shown(window) if m.direction is direction)

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        await self._read()
        signs = {Direction.SPOT_TO_FUTURES: 1, Direction.FUTURES_TO_SPOT: -1}
        return tuple(
            IncomeRow(m.amount * signs[m.direction], m.moved_at)
            for m in self._exchange.shown(window)
        )

    async def _read(self) -> None:
        await self._exchange.clock.sleep_ms(self._chance.uniform(10, 200))
        self._life.check()


class Life:
    """One process: until it ends, its ports work; afterwards every call is its end again."""

    def __init__(self, world_tasks: TaskGroup, skew_ms: float) -> None:
        self.world_tasks = world_tasks
        self.skew_ms = skew_ms
        self.over = False

    def check(self) -> None:
        if self.over:
            raise Crash

    def end(self) -> NoReturn:
        self.over = True
        raise Crash


class Mortal:
    """A port that dies with its process."""

    def __init__(self, port: object, life: Life) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        async def call(*args: object, **named: object) -> object:
            self._life.check()
            result = await found(*args, **named)
            self._life.check()
            return result

        return call
