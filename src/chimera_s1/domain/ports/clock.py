"""Port: what time it is, and waiting."""

from typing import Protocol


class Clock(Protocol):
    """Wall time for what is published, monotonic time for how long something took."""

    def now_ms(self) -> int:
        """Local wall time, epoch ms. It may step; never subtract two of these to get a duration."""
        ...

    def monotonic_ms(self) -> float:
        """Milliseconds since an arbitrary start; never goes back."""
        ...

    async def sleep_ms(self, duration_ms: float) -> None:
        """Wait; at once when *duration_ms* is not positive. Cancellation ends it."""
        ...
