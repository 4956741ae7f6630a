"""Stops, closes and cancels go out whatever is switched off, at every step of the way."""

from decimal import Decimal
from itertools import product

import anyio
import pytest
from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    Market,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderRequest,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
)
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.operations.trading_mode import TradingMode
from tests.execution_harness import (
    BTC,
    ENTRY,
    ExecutionHarness,
    ExecutionInstance,
    entry,
    running,
    stop,
)
from tests.treasury_harness import OperatorSwitches
from tests.virtual_time import on_virtual_time

QTY = Decimal(2)


class Case(Struct, frozen=True):
    request: OrderRequest
    purpose: Purpose


def perp(scope: OneWay | Hedged, side: Side = Side.SELL) -> PerpOrder:
    return PerpOrder(client_id="s1-close", symbol=BTC, side=side, scope=scope, body=Market(qty=QTY))


def spot(side: Side) -> SpotOrder:
    return SpotOrder(client_id="s1-spot", symbol=BTC, side=side, body=Market(qty=QTY))


OCO = SpotOco(
    client_id="s1-oco",
    symbol=BTC,
    side=Side.SELL,
    qty=QTY,
    take_profit=OcoTakeProfit(client_id="s1-oco-tp", price=Decimal(110)),
    stop=OcoStop(client_id="s1-oco-sl", trigger=Decimal(90)),
)
# The purpose of a futures order is no excuse, and no hindrance.
PROTECTS = {
    "stop": Case(stop(), Purpose.ENTRY),
    "reduce-only close": Case(perp(OneWay(reduce_only=True)), Purpose.EXIT),
    "close of a long in hedge mode": Case(perp(Hedged(position_side=HedgeSide.LONG)), Purpose.EXIT),
    "close of a short in hedge mode": Case(
        perp(Hedged(position_side=HedgeSide.SHORT), Side.BUY), Purpose.EXIT
    ),
    "spot exit": Case(spot(Side.SELL), Purpose.EXIT),
    "spot exit of a sale": Case(spot(Side.BUY), Purpose.EXIT),
    "spot order list": Case(OCO, Purpose.EXIT),
}
OPENS = {
    "entry": Case(entry(), Purpose.ENTRY),
    "entry that is called an exit": Case(entry(), Purpose.EXIT),
    "market order": Case(perp(OneWay(reduce_only=False)), Purpose.EXIT),
    "short in hedge mode": Case(perp(Hedged(position_side=HedgeSide.SHORT)), Purpose.EXIT),
    "spot entry": Case(spot(Side.BUY), Purpose.ENTRY),
}
CLOSED = [
    (kill, mode, stopping)
    for kill, mode, stopping in product((False, True), (*TradingMode, None), (False, True))
    if (kill, mode, stopping) != (False, TradingMode.NORMAL, False)
]
"""Kill switch, mode (None: not read yet), stopping: each of them refuses an entry."""


def close_gate(
    switches: OperatorSwitches, *, kill: bool, mode: TradingMode | None, stopping: bool
) -> None:
    switches.kill, switches.stopping = kill, stopping
    switches.mode, switches.mode_known = mode or TradingMode.HALTED, mode is not None


async def outcome(case: Case, *, kill: bool, mode: TradingMode | None, stopping: bool) -> str:
    """With the gate closed before, and with a gate that closes while the order connects."""
    phases: list[str] = []
    for closes_after_ms in (0.0, 100.0):
        world = ExecutionHarness()
        world.exchange.connect_ms = 200
        async with anyio.create_task_group() as tasks:

            async def place(world: ExecutionHarness = world) -> None:
                try:
                    placed = await ExecutionInstance(world).place(case.request, case.purpose)
                except ChimeraError:
                    phases.append("refused")
                else:
                    phases.append(placed.order.phase.value)

            if closes_after_ms:
                tasks.start_soon(place)
                await world.clock.sleep_ms(closes_after_ms)
            close_gate(world.switches, kill=kill, mode=mode, stopping=stopping)
            if not closes_after_ms:
                tasks.start_soon(place)
        phases.append("sent" if world.exchange.sent else "nothing sent")
    return ", ".join(phases)


@pytest.mark.parametrize("name", PROTECTS)
@on_virtual_time
async def test_no_mode_and_no_switch_blocks_what_protects(name: str) -> None:
    for kill, mode, stopping in CLOSED:
        went = await outcome(PROTECTS[name], kill=kill, mode=mode, stopping=stopping)
        assert went == "acknowledged, sent, acknowledged, sent", (kill, mode, stopping)


@pytest.mark.parametrize("name", OPENS)
@on_virtual_time
async def test_each_mode_and_switch_blocks_what_opens(name: str) -> None:
    for kill, mode, stopping in CLOSED:
        went = await outcome(OPENS[name], kill=kill, mode=mode, stopping=stopping)
        assert went == "refused, nothing sent, not_sent, nothing sent", (kill, mode, stopping)


@on_virtual_time
async def test_no_mode_and_no_switch_blocks_a_cancel_or_a_lookup() -> None:
    for kill, mode, stopping in CLOSED:
        world = ExecutionHarness()
        async with running(ExecutionInstance(world)) as one:
            await one.place(entry())
            close_gate(world.switches, kill=kill, mode=mode, stopping=stopping)
            cancelled = await one.cancel(ENTRY)
        assert cancelled.order.phase is OrderPhase.CLOSED
        assert len(world.exchange.cancelled) == 1
