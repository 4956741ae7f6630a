"""The trading mode is the most restrictive that applies."""

from functools import reduce

import pytest

from chimera_s1.domain.operations.trading_mode import (
    ConnectionFailed,
    ConnectionRecovered,
    ModeEvent,
    ModeState,
    TradingHalted,
    TradingMode,
    TradingResumed,
    evolve,
)

FAILED = ConnectionFailed("spot-0")
RECOVERED = ConnectionRecovered("spot-0")


@pytest.mark.parametrize(
    ("events", "mode"),
    [
        ([], TradingMode.NORMAL),
        ([FAILED], TradingMode.MANAGE_ONLY),
        ([TradingHalted()], TradingMode.HALTED),
        ([FAILED, TradingHalted()], TradingMode.HALTED),
        ([TradingHalted(), FAILED, TradingResumed()], TradingMode.MANAGE_ONLY),
        ([FAILED, RECOVERED], TradingMode.NORMAL),
        ([FAILED, FAILED, RECOVERED], TradingMode.NORMAL),
        ([FAILED, ConnectionFailed("perp-1"), RECOVERED], TradingMode.MANAGE_ONLY),
        ([RECOVERED, TradingResumed()], TradingMode.NORMAL),
    ],
)
def test_most_restrictive_mode_wins(events: list[ModeEvent], mode: TradingMode) -> None:
    assert reduce(evolve, events, ModeState()).mode is mode
