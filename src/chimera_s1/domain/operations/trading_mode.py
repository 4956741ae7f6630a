"""Trading mode: what the service may still do with money."""

from enum import StrEnum


class TradingMode(StrEnum):
    """NORMAL does everything; MANAGE_ONLY refuses new entries and lets cancels, stops and closes
    through; HALTED refuses all that spends.
    """

    NORMAL = "NORMAL"
    MANAGE_ONLY = "MANAGE_ONLY"
    HALTED = "HALTED"


def trading_mode(*, feed_fatal: bool, halted: bool) -> TradingMode:
    """The mode that the facts allow: the most careful of them wins.

    Args:
        feed_fatal: A market data connection is FATAL: prices cannot be trusted.

        halted: An operator or a rule has stopped everything.
    """
    if halted:
        return TradingMode.HALTED
    return TradingMode.MANAGE_ONLY if feed_fatal else TradingMode.NORMAL
