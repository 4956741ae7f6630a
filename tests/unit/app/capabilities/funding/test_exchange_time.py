"""Which clock of the exchange counts."""

import pytest

from chimera_s1.app.capabilities.funding.exchange_time import (
    SIMULATOR_LEAD_MS,
    STREAM_LAG_MS,
    STREAM_LEAD_MS,
    ExchangeTime,
)
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Symbol

NOW = 1_772_510_400_000


class Estimates:
    """Implements `domain.ports.estimate_reader.EstimateReader`."""

    def __init__(self, exchange_ms: int) -> None:
        self.exchange_ms = exchange_ms

    def last_estimate(self, symbol: Symbol, funding_time: int) -> str:
        del symbol, funding_time
        return ""


def unknown() -> float:
    raise ClockUncertainError("not measured yet")


@pytest.mark.parametrize(
    ("streamed", "measured", "expected"),
    [
        (NOW, NOW + STREAM_LAG_MS - 1, NOW),
        (NOW, NOW + STREAM_LAG_MS, NOW + STREAM_LAG_MS),  # the stream is down
        (NOW, NOW - STREAM_LEAD_MS, NOW),
        (NOW, NOW - STREAM_LEAD_MS - 1, NOW - STREAM_LEAD_MS - 1),  # the stream's is a bad one
        (9_999_999_999_999, NOW, NOW),
        (0, NOW, NOW),
    ],
)
def test_the_stream_counts_while_it_is_current(streamed: int, measured: int, expected: int) -> None:
    assert ExchangeTime(Estimates(streamed), lambda: float(measured)).now_ms() == expected


def test_a_simulators_clock_may_run_fast() -> None:
    def now(measured: int) -> int:
        time = ExchangeTime(Estimates(NOW), lambda: float(measured), lead_ms=SIMULATOR_LEAD_MS)
        return time.now_ms()

    assert now(NOW - SIMULATOR_LEAD_MS) == NOW
    assert now(NOW - SIMULATOR_LEAD_MS - 1) == NOW - SIMULATOR_LEAD_MS - 1


def test_without_a_measured_clock_the_stream_counts_however_old() -> None:
    assert ExchangeTime(Estimates(NOW), unknown).now_ms() == NOW
    with pytest.raises(ClockUncertainError):
        ExchangeTime(Estimates(0), unknown).now_ms()
