"""Why a stream that was acknowledged will never deliver.

Binance acknowledges every name. The forms below are those of its pages, Spot "WebSocket Streams"
and USD-M "WebSocket Market Streams", that this simulator does not deliver.
"""

import re

from chimera_s1.adapters.simulator.streams.stream_names import StreamName, StreamRoute
from chimera_s1.domain.identifiers import Venue

_INTERVAL = r"(?:1s|1m|3m|5m|15m|30m|1h|2h|4h|6h|8h|12h|1d|3d|1w|1M)"
_SYMBOL = r"[^A-Z@!]+"
_OF_BOTH = rf"trade|miniTicker|ticker|kline_{_INTERVAL}"
_FORMS = {
    Venue.SPOT: re.compile(
        rf"{_SYMBOL}@(?:{_OF_BOTH}|kline_{_INTERVAL}@\+08:00|ticker_(?:1h|4h|1d)"
        r"|avgPrice|referencePrice|blockTrade)"
        r"|!miniTicker@arr|!ticker_(?:1h|4h|1d)@arr"
    ),
    Venue.PERP: re.compile(
        rf"{_SYMBOL}@(?:{_OF_BOTH}|continuousKline_{_INTERVAL}|forceOrder|compositeIndex"
        r"|assetIndex|rpiDepth@500ms)"
        r"|!miniTicker@arr|!ticker@arr|!forceOrder@arr|!assetIndex@arr"
    ),
}
_PATHS = {StreamRoute.PUBLIC: "/public", StreamRoute.MARKET: "/market"}


def reason_for_silence(venue: Venue, name: str, stream: StreamName | None, *, listed: bool) -> str:
    """The reason that *name* delivers nothing.

    Args:
        venue: Where it was subscribed.
        name: As it was subscribed.
        stream: The stream it names; None if this exchange delivers no such stream.
        listed: Whether the stream's symbol is listed.
    """
    if stream is None:
        if _FORMS[venue].fullmatch(name):
            return "Binance has this stream, the simulator has not; acknowledged, never delivered"
        return "no such stream at Binance either; acknowledged, never delivered"
    if not listed:
        return f"{stream.symbol} is not listed; acknowledged, never delivered"
    return f"delivered under {_PATHS[stream.route]} only; acknowledged, never delivered here"
