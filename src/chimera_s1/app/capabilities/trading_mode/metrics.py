"""Metrics of the trading mode."""

from collections.abc import Callable

from chimera_s1.domain.operations.metrics import MetricSource, gauge
from chimera_s1.domain.operations.trading_mode import TradingMode


def mode_source(mode: Callable[[], TradingMode], known: Callable[[], bool]) -> MetricSource:
    return lambda: [
        *(
            gauge(
                "s1_trading_mode",
                "1 for the trading mode of this instance, 0 for the others.",
                int(mode() is each),
                mode=each.value,
            )
            for each in TradingMode
        ),
        gauge(
            "s1_trading_mode_known",
            "0 until the store was read: whether trading is halted is not known, nothing is spent.",
            int(known()),
        ),
    ]
