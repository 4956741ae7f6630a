"""Quotes and entries of `mkt:status` for tests: right in every field, different where a test needs
them to be.
"""

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote

TS = 1_772_514_460_893


def quote(
    instrument: str = "spot/BTCUSDT",
    *,
    bid: float = 67403.8,
    ts: int = TS,
    source: str = "binance.spot.bookTicker",
    update_id: int = 1,
) -> Quote:
    """A quote of *instrument*, a tenth of a dollar wide."""
    return Quote(
        instrument=InstrumentId.parse(instrument),
        ts=ts,
        bid=bid,
        bid_qty=1.25,
        ask=bid + 0.1,
        ask_qty=2.5,
        source=source,
        update_id=update_id,
        received_ms=ts,
    )


def entry(
    symbol: str, state: Liveness, ts: int = TS, cause: str = "spot-0: a cause"
) -> StatusChange:
    """An entry of `mkt:status`; the state begins with it."""
    return StatusChange(ts, symbol, state, ts, cause)
