"""Port: time and waiting."""

from typing import Protocol


class Clock(Protocol):
    """Wall time for published timestamps, monotonic time for durations."""

    def now_ms(self) -> int:
        """Local wall time, epoch ms. It may step; never use it for durations."""
        ...

    def monotonic_ms(self) -> float:
        """Milliseconds since an arbitrary start; never decreases."""
        ...

    async def sleep_ms(self, duration_ms: float) -> None:
        """Wait; returns at once if *duration_ms* is not positive."""
        ...
