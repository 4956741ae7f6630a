"""Binance's base URLs and stream names.

Hosts: SPOT web-socket-streams.md and rest-api.md, USD-M "Important WebSocket Change Notice"
(routed paths since 2026-04-23), testnet pages; read 2026-11-22.
"""

from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.domain.identifiers import Channel, InstrumentId, Venue


class Endpoints(Struct, frozen=True):
    """Base URLs of one venue, without a trailing slash, and how connections get there.

    Attributes:
        ws_api_url: The whole URL of spot's WebSocket API, which has the private stream; empty on
            futures, whose private stream is at *ws_url*.
    """

    rest_url: str
    ws_url: str
    egress: Egress = DIRECT
    ws_api_url: str = ""


LIVE_ENDPOINTS = {
    Venue.SPOT: Endpoints(
        "https://api.binance.com",
        "wss://stream.binance.com:9443",
        ws_api_url="wss://ws-api.binance.com:443/ws-api/v3",
    ),
    Venue.PERP: Endpoints("https://fapi.binance.com", "wss://fstream.binance.com"),
}
TESTNET_ENDPOINTS = {
    Venue.SPOT: Endpoints(
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision:9443",
        ws_api_url="wss://ws-api.testnet.binance.vision/ws-api/v3",
    ),
    Venue.PERP: Endpoints("https://demo-fapi.binance.com", "wss://fstream.binancefuture.com"),
}


def stream_name(instrument: InstrumentId, channel: Channel) -> str:
    """The combined stream's name: `btcusdt@bookTicker`, `btcusdt@depth5@100ms`.

    Upper case symbols are acknowledged but never deliver.
    """
    symbol = instrument.symbol.lower()
    match channel:
        case Channel.BOOK_TICKER:
            return f"{symbol}@bookTicker"
        case Channel.DEPTH5:
            return f"{symbol}@depth5@100ms"
        case _:
            assert_never(channel)


def source_name(venue: Venue, channel: Channel, *, replayed: bool = False) -> str:
    """The `src` field of a quote: `binance.spot.bookTicker`, `replay.perp.depth5`."""
    return f"{'replay' if replayed else 'binance'}.{venue.value}.{channel.value}"


def market_stream_url(venue: Venue, ws_url: str) -> str:
    """The URL of combined book streams.

    On futures only `/public` delivers them; other paths acknowledge and stay silent.
    """
    match venue:
        case Venue.SPOT:
            return f"{ws_url}/stream"
        case Venue.PERP:
            return f"{ws_url}/public/stream"
        case _:
            assert_never(venue)


def simulated_ws_api_url(ws_url: str) -> str:
    """The simulator has the WebSocket API at the port of its spot streams; empty without one."""
    return f"{ws_url}/ws-api/v3" if ws_url else ""


LISTING_STREAM = "!contractInfo"
MARK_PRICE_STREAM = "!markPrice@arr@1s"


def perp_stream_url(ws_url: str) -> str:
    """The URL of streams that are no books: of the futures' paths only `/market` delivers them."""
    return f"{ws_url}/market/stream"
