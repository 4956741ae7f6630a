"""Reading request parameters the way Binance does, with its own errors."""

from collections.abc import Callable

import orjson
from aiohttp import web

from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue


def fixed_weight(weight: int) -> Callable[[web.Request], int]:
    """The same *weight* whatever the parameters."""
    return lambda _: weight


def weight_by_symbol(with_symbol: int, without: int) -> Callable[[web.Request], int]:
    """One weight for one symbol, another for all of them."""
    return lambda request: with_symbol if "symbol" in request.query else without


def required_symbol(request: web.Request, market: Market, venue: Venue) -> SymbolMarket:
    """The listed symbol a request must name.

    Raises:
        BinanceError: -1102 without the parameter, -1121 for a symbol that is not listed.
    """
    symbol = request.query.get("symbol", "")
    if not symbol:
        raise BinanceError(
            -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        )
    return find_symbol(symbol, market, venue)


def find_symbol(symbol: str, market: Market, venue: Venue) -> SymbolMarket:
    """The symbol called *symbol*.

    Raises:
        BinanceError: -1121, it is not listed here.
    """
    found = market.find(venue, symbol)
    if found is None or found.spec.margin_kind != 1:
        raise BinanceError(-1121, "Invalid symbol.")
    return found


def symbol_list(text: str) -> list[str]:
    """Read `symbols=["BTCUSDT","BNBUSDT"]`.

    Raises:
        BinanceError: -1100, it is not an array of strings.
    """
    try:
        symbols = orjson.loads(text)
    except orjson.JSONDecodeError:
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise BinanceError(-1100, "Illegal characters found in parameter 'symbols'.")
    return symbols


def integer_of(request: web.Request, name: str, default: int) -> int:
    """An integer parameter.

    Raises:
        BinanceError: -1100, it is not an integer.
    """
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise BinanceError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
        )
    return int(text)
