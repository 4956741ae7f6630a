import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

INTERVAL_MS = 10


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.number = 0

    async def count(self) -> None:
        while True:
            self.number += 1
            await checkpoint()


class Socket(asyncio.Transport):
    """Records in which turn of the loop reading was resumed."""

    def __init__(self, turns: Turns, *, closing: bool = False) -> None:
        super().__init__()
        self.turns = turns
        self.closing = closing
        self.read_in: list[int] = []
        self.paused = False
        self.resumed = anyio.Event()

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self.read_in.append(self.turns.number)
        self.resumed.set()


class Pacing:
    """A running pacer on a manual clock."""

    def __init__(self, interval_ms: int) -> None:
        self.clock = ManualClock()
        self.turns = Turns()
        self.pacer = ReadPacer(self.clock, interval_ms)


@pytest.fixture
async def pacing() -> AsyncIterator[Pacing]:
    made = Pacing(INTERVAL_MS)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.pacer.run)
        with anyio.fail_after(TIMEOUT_S):
            await made.clock.wait_for_sleeper()
        yield made
        tasks.cancel_scope.cancel()


async def test_a_socket_is_paused_until_the_next_tick(pacing: Pacing) -> None:
    socket = Socket(pacing.turns)
    pacing.pacer.pause_until_tick(socket)

    await pacing.clock.advance(INTERVAL_MS - 1)
    resting = socket.paused
    await pacing.clock.advance(1)

    assert resting
    assert not socket.paused


async def test_bursts_take_turns_without_waiting_for_a_tick(pacing: Pacing) -> None:
    """Each socket is read in its own turn of the loop, in the order of arrival."""
    sockets = [Socket(pacing.turns) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacing.turns.count)
        for socket in sockets:
            pacing.pacer.queue_for_reading(socket)
        with anyio.fail_after(TIMEOUT_S):
            await sockets[-1].resumed.wait()
        tasks.cancel_scope.cancel()

    read_in = [socket.read_in[0] for socket in sockets]
    assert read_in == sorted(set(read_in))
    assert pacing.clock.monotonic_ms() == 0


async def test_a_socket_that_closes_is_not_read_again(pacing: Pacing) -> None:
    closing, other = Socket(pacing.turns, closing=True), Socket(pacing.turns)
    pacing.pacer.queue_for_reading(closing)
    pacing.pacer.queue_for_reading(other)
    pacing.pacer.pause_until_tick(closing)
    with anyio.fail_after(TIMEOUT_S):
        await other.resumed.wait()
    await pacing.clock.advance(INTERVAL_MS)

    assert not closing.read_in


def test_without_an_interval_nothing_is_paused() -> None:
    pacing = Pacing(0)
    socket = Socket(pacing.turns)
    pacing.pacer.pause_until_tick(socket)
    pacing.pacer.queue_for_reading(socket)

    assert not socket.paused
