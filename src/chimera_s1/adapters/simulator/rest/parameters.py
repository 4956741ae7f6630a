"""Parses request parameters, with Binance's errors for wrong ones."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

import orjson
from aiohttp import web

from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

DAY_MS = 86_400_000
RECENT_MS = 7 * DAY_MS
TIME_MAX_MS = 10**14
_INTEGER = r"[0-9]{1,20}"
_AMOUNT = r"([0-9]{1,20})(\.[0-9]{1,20})?"
_DECIMALS_MAX = 8


def required(parameters: Mapping[str, str], name: str, form: str) -> str:
    """A mandatory parameter that matches the regular expression *form*.

    Raises:
        BinanceError: -1102, it is missing; -1100, it does not match.
    """
    text = parameters.get(name, "")
    if not text:
        raise BinanceError(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return _matching(name, text, form)


def _matching(name: str, text: str, form: str) -> str:
    if re.fullmatch(form, text, re.DOTALL) is None:
        raise BinanceError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^{form}$'."
        )
    return text


def integer(
    parameters: Mapping[str, str], name: str, default: int, *, lowest: int = 0, highest: int
) -> int:
    """An optional integer.

    Raises:
        BinanceError: -1100, it is not an integer; -1130, it is out of range.
    """
    if name not in parameters:
        return default
    value = int(required(parameters, name, _INTEGER))
    if not lowest <= value <= highest:
        raise invalid_parameter(name)
    return value


def depth_limit(request: web.Request, default: int) -> int:
    """Raises BinanceError -1100 unless `limit` is an integer."""
    return int(_matching("limit", request.query.get("limit", str(default)), _INTEGER))


def one_of(parameters: Mapping[str, str], name: str, allowed: Collection[str]) -> str:
    """A mandatory word out of *allowed*.

    Raises:
        BinanceError: -1102, it is missing; -1100 or -1130, it is another.
    """
    text = required(parameters, name, r"[A-Z_]{1,40}")
    if text not in allowed:
        raise invalid_parameter(name)
    return text


def positive_amount(parameters: Mapping[str, str]) -> Decimal:
    """The mandatory `amount`, above zero.

    Raises:
        BinanceError: -1102, -1100, -1111 with more than eight decimals, -1130 for zero.
    """
    text = required(parameters, "amount", _AMOUNT)
    if len(text.partition(".")[2].rstrip("0")) > _DECIMALS_MAX:
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    amount = Decimal(text)
    if not amount:
        raise invalid_parameter("amount")
    return amount


def time_window(parameters: Mapping[str, str], now_ms: int) -> tuple[int, int]:
    """`startTime` and `endTime`, both inclusive; by default the last seven days.

    Raises:
        BinanceError: They are not times, or the end comes before the start.
    """
    until = integer(parameters, "endTime", now_ms, highest=TIME_MAX_MS)
    since = integer(parameters, "startTime", until - RECENT_MS, highest=TIME_MAX_MS)
    if since > until:
        raise invalid_parameter("startTime")
    return since, until


def page_limit(parameters: Mapping[str, str]) -> int:
    """The rows of a page of futures history: 100, or `limit` up to 1000.

    Raises:
        BinanceError: It is no such number.
    """
    return integer(parameters, "limit", 100, lowest=1, highest=1000)


def invalid_parameter(name: str) -> BinanceError:
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


def required_symbol(request: web.Request, market: Market, venue: Venue) -> SymbolMarket:
    """The symbol a request must name.

    Raises:
        BinanceError: -1102, the parameter is missing; -1121, the symbol is not listed.
    """
    return find_symbol(required(request.query, "symbol", r".*"), market, venue)


def find_symbol(symbol: str, market: Market, venue: Venue) -> SymbolMarket:
    """Raises BinanceError -1121 if the symbol is not listed."""
    found = market.find_usd_margined(venue, symbol)
    if found is None:
        raise BinanceError(-1121, "Invalid symbol.")
    return found


def symbol_list(text: str, name: str = "symbols") -> list[str]:
    """Parse the parameter *name*, like `symbols=["BTCUSDT","BNBUSDT"]`.

    Raises:
        BinanceError: -1100, it is not an array of strings.
    """
    try:
        symbols = orjson.loads(text)
    except orjson.JSONDecodeError:
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'.")
    return symbols
