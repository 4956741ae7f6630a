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
    assert reduce(evolve, events, ModeState(halted=False)).mode is mode


@pytest.mark.parametrize("events", [[], [FAILED], [FAILED, RECOVERED]])
def test_the_mode_is_halted_until_it_is_known_not_to_be(events: list[ModeEvent]) -> None:
    unknown = reduce(evolve, events, ModeState())
    assert unknown.mode is TradingMode.HALTED
    assert evolve(unknown, TradingResumed()).mode is not TradingMode.HALTED
