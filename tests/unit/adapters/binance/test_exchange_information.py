"""Public reads: listed symbols."""

import msgspec
import pytest

from chimera_s1.adapters.binance.exchange_information import _ExchangeInfo, _listings
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import Listing


def test_an_invalid_symbol_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A symbol that cannot be part of a stream's name is skipped and logged."""
    info = msgspec.json.decode(
        b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","quoteAsset":"USDT"},'
        b'{"symbol":"BAD/NAME","status":"TRADING","quoteAsset":"USDT"},'
        b'{"symbol":"ETHBTC","status":"BREAK","quoteAsset":"BTC"}]}',
        type=_ExchangeInfo,
    )

    assert tuple(_listings(Venue.SPOT, info.symbols)) == (
        Listing(InstrumentId(Venue.SPOT, Symbol("BTCUSDT")), "USDT", trading=True),
        Listing(InstrumentId(Venue.SPOT, Symbol("ETHBTC")), "BTC", trading=False),
    )
    assert "BAD/NAME" in caplog.text
