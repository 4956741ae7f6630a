"""Trading hours of TradFi contracts: off session, their silence is no fault."""

from collections.abc import Iterable

from msgspec import Struct

_NO_TRADING = "NO_TRADING"


class TradingSession(Struct, frozen=True):
    """Of an underlying type; *kind* is Binance's text: `REGULAR`, `NO_TRADING`. Epoch ms, *end* is
    outside.
    """

    start: int
    end: int
    kind: str


def is_off_session(sessions: Iterable[TradingSession], now: int) -> bool:
    """Whether the schedule says that there is no trading.

    A time that it does not cover, or covers twice, counts as trading: silence is then looked into.
    """
    kinds = {session.kind for session in sessions if session.start <= now < session.end}
    return kinds == {_NO_TRADING}
