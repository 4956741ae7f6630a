"""Public reads: listed symbols, row by row."""

import msgspec

from chimera_s1.adapters.binance.exchange_information import _listing
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import Listing


def test_a_status_that_is_not_known_is_not_trading() -> None:
    """Binance adds values; such a row is listed like any other."""
    row = b'{"symbol":"ETHBTC","status":"TRADING_HALT","quoteAsset":"BTC","filters":7}'

    assert _listing(Venue.SPOT, msgspec.Raw(row)) == Listing(
        InstrumentId(Venue.SPOT, Symbol("ETHBTC")), "BTC", trading=False
    )
