"""When TradFi contracts do not trade."""

import pytest

from chimera_s1.domain.instruments.trading_session import TradingSession, is_off_session

SCHEDULE = (
    TradingSession(100, 200, "PRE_MARKET"),
    TradingSession(200, 300, "REGULAR"),
    TradingSession(300, 400, "NO_TRADING"),
    TradingSession(400, 500, "LATE_NIGHT"),
    TradingSession(450, 600, "NO_TRADING"),
)


@pytest.mark.parametrize(
    ("now", "off"),
    [
        (99, False),
        (150, False),
        (299, False),
        (300, True),
        (399, True),
        (400, False),
        (475, False),
        (500, True),
        (600, False),
    ],
)
def test_only_what_the_schedule_says_is_off_session(now: int, off: bool) -> None:
    """New kinds of session trade; so does a time that is not covered, or covered twice."""
    assert is_off_session(SCHEDULE, now) == off


def test_without_a_schedule_nothing_is_off_session() -> None:
    """The read may have failed."""
    assert not is_off_session((), 350)
