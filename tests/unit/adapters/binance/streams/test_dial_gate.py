"""Dials of private streams: their reserve, and their own queue."""

import anyio

from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.domain.operations.dial_budget import DIAL_SPACING_MS, WINDOW_MS, DialLimit
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from tests.fakes.manual_clock import ManualClock, settle


class Dialler:
    """Dials through one gate and notes the order."""

    def __init__(self, limit: DialLimit) -> None:
        self.clock = ManualClock()
        self.gate = DialGate(self.clock, VenueHold(), limit)
        self.dialled: list[str] = []

    async def dial(self, name: str, *, private: bool = False) -> None:
        await self.gate.admit(private=private)
        self.dialled.append(name)


async def test_a_private_dial_uses_the_reserve_when_market_data_has_used_up_its_dials() -> None:
    dialler = Dialler(DialLimit(dials=3, reserved=1, spacing_ms=0))
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(dialler.dial, f"market-{number}")
        await settle()
        await dialler.dial("private", private=True)
        assert dialler.dialled == ["market-0", "market-1", "private"]
        await dialler.clock.advance(WINDOW_MS)

    assert dialler.dialled[-1] == "market-2"


async def test_a_private_dial_goes_before_all_market_dials_that_wait() -> None:
    dialler = Dialler(DialLimit(dials=150, reserved=30))
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(dialler.dial, f"market-{number}")
        await settle()
        tasks.start_soon(lambda: dialler.dial("private", private=True))
        await settle()
        await dialler.clock.advance(5 * DIAL_SPACING_MS)

    assert dialler.dialled[:2] == ["market-0", "private"]
    assert dialler.dialled[2:] == [f"market-{number}" for number in range(1, 5)]


async def test_a_cancelled_private_dial_holds_no_market_dial_back() -> None:
    dialler = Dialler(DialLimit(dials=150, reserved=30, spacing_ms=0))
    dialler.gate.hold.hold(HoldScope.DIALS, 1_000, "a test", dialler.clock.monotonic_ms())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: dialler.dial("private", private=True))
        await settle()
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dialler.dial, "market")
        await settle()
        await dialler.clock.advance(1_000)

    assert dialler.dialled == ["market"]
