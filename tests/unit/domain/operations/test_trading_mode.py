"""The trading mode is the most careful that any fact asks for."""

import pytest

from chimera_s1.domain.operations.trading_mode import TradingMode, trading_mode


@pytest.mark.parametrize(
    ("feed_fatal", "halted", "mode"),
    [
        (False, False, TradingMode.NORMAL),
        (True, False, TradingMode.MANAGE_ONLY),
        (False, True, TradingMode.HALTED),
        (True, True, TradingMode.HALTED),
    ],
)
def test_the_most_careful_mode_wins(feed_fatal: bool, halted: bool, mode: TradingMode) -> None:
    assert trading_mode(feed_fatal=feed_fatal, halted=halted) is mode
