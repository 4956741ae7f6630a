"""An event loop whose time jumps to the next timer when it is idle: hours pass in no time.

`anyio.sleep`, timeouts and `LoopClock` all use the loop's timers, so a run is deterministic.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import anyio

EPOCH_MS = 1_796_000_000_000
TURNS_MAX = 200_000
"""More turns of the loop without time passing are a busy loop."""

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")


class _TimeJumpingSelector(selectors.SelectSelector):
    """Advances the loop's clock instead of waiting."""

    loop: "VirtualLoop"
    turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise RuntimeError("busy loop: time does not pass")
        if not ready and timeout is None:
            raise RuntimeError("deadlock: every task waits and there is no timer")
        if not ready and timeout is not None and timeout > 0:
            self.loop.elapsed += timeout
            self.turns = 0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        selector = _TimeJumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


class LoopClock:
    """Implements the `Clock` port on the running loop's time."""

    def __init__(self, skew_ms: float = 0.0) -> None:
        self.skew_ms = skew_ms

    def now_ms(self) -> int:
        return round(EPOCH_MS + self.monotonic_ms() + self.skew_ms)

    def monotonic_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    async def sleep_ms(self, duration_ms: float) -> None:
        # A shorter wait may end before the loop's time has changed, and be repeated for ever.
        shortest_ms = 0.001 if duration_ms > 0 else 0.0
        await anyio.sleep(max(shortest_ms, duration_ms) / 1000)


def run_on_virtual_time(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run *main* to its end on a `VirtualLoop`."""
    return anyio.run(main, backend_options={"loop_factory": VirtualLoop})


def on_virtual_time(test: Callable[_Given, Awaitable[None]]) -> Callable[_Given, None]:
    """*test*, run on a `VirtualLoop` of its own."""

    @wraps(test)
    def run(*args: _Given.args, **named: _Given.kwargs) -> None:
        run_on_virtual_time(lambda: test(*args, **named))

    return run
