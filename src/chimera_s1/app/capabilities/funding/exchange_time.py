"""The exchange's time: it decides what is due, the local clock never does."""

from collections.abc import Callable
from typing import Final

from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.operations.schedule import DAY_MS, MINUTE_MS
from chimera_s1.domain.ports.estimate_reader import EstimateReader

STREAM_LAG_MS: Final = 60_000
"""The mark price stream's time counts while it is at most this much behind."""

STREAM_LEAD_MS: Final = MINUTE_MS
"""And this much ahead: more is a bad time, and history up to it would count as proven."""

SIMULATOR_LEAD_MS: Final = DAY_MS
"""A simulator's clock may run fast, and is then ahead of what was measured."""


class ExchangeTime:
    """Args:
    measured_ms: The exchange's clock as the clock patrol knows it; it may raise
        `ClockUncertainError`.
    lead_ms: The mark price stream's time counts while it is at most this much ahead of that.
    """

    def __init__(
        self,
        estimates: EstimateReader,
        measured_ms: Callable[[], float],
        *,
        lead_ms: int = STREAM_LEAD_MS,
    ) -> None:
        self._estimates = estimates
        self._measured_ms = measured_ms
        self._lead_ms = lead_ms

    def now_ms(self) -> int:
        """Epoch ms.

        Raises:
            ClockUncertainError: The stream has said nothing, and the clock is not known.
        """
        streamed = self._estimates.exchange_ms
        try:
            measured = round(self._measured_ms())
        except ClockUncertainError:
            if streamed:
                return streamed
            raise
        return streamed if -self._lead_ms <= measured - streamed < STREAM_LAG_MS else measured
