"""The machine's clock; the only place that asks it."""

import time

import anyio


class SystemClock:
    """Implements `domain.ports.clock.Clock` on the operating system's clocks."""

    def now_ms(self) -> int:
        """Wall time, epoch ms."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """Monotonic time, ms."""
        return time.monotonic_ns() / 1e6

    async def sleep_ms(self, duration_ms: float) -> None:
        """Wait on the event loop."""
        await anyio.sleep(max(0.0, duration_ms) / 1000)
