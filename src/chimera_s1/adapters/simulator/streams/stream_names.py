"""Stream names of both venues: what each delivers, how often, and on which path.

Binance, Spot "WebSocket Streams" and USD-M "WebSocket Market Streams" with the "Important WebSocket
Change Notice": futures streams are split over `/public`, `/market` and `/private`, and a connection
without one of them behaves like `/public`.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from urllib.parse import parse_qsl, unquote

from msgspec import Struct, field

from chimera_s1.adapters.simulator.time_unit import is_microseconds
from chimera_s1.domain.identifiers import Venue


class StreamKind(Enum):
    BOOK_TICKER = auto()
    PARTIAL_DEPTH = auto()
    DIFF_DEPTH = auto()
    AGG_TRADE = auto()
    MARK_PRICE = auto()
    ALL_BOOK_TICKERS = auto()
    ALL_MARK_PRICES = auto()
    CONTRACT_INFO = auto()
    TRADING_SESSIONS = auto()


class StreamRoute(Enum):
    """Which streams a connection can deliver, by the path it was opened on."""

    SPOT = auto()
    PUBLIC = auto()
    MARKET = auto()
    PRIVATE = auto()


class StreamName(Struct, frozen=True):
    """A stream this exchange delivers.

    Attributes:
        symbol: Upper case; empty for streams of all symbols.
        period_ms: Push interval; 0 means every update.
        levels: Levels per side, for partial depth.
    """

    kind: StreamKind
    route: StreamRoute
    symbol: str = ""
    period_ms: int = 0
    levels: int = 0

    @property
    def follows_book(self) -> bool:
        """Whether a subscription makes the books of its symbols move."""
        return self.kind in _BOOK_KINDS


_BOOK_KINDS = (
    StreamKind.BOOK_TICKER,
    StreamKind.PARTIAL_DEPTH,
    StreamKind.DIFF_DEPTH,
    StreamKind.AGG_TRADE,
    StreamKind.ALL_BOOK_TICKERS,
)
CONTRACT_INFO = "!contractInfo"
_LISTEN_KEY = re.compile(r"[A-Za-z0-9]{32,}")
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<speed>100|500)ms)?")
_DEFAULT_DEPTH_MS = {Venue.SPOT: 1000, Venue.PERP: 250}
_ALL_MARKET = {
    "tradingSession": StreamName(StreamKind.TRADING_SESSIONS, StreamRoute.MARKET, period_ms=1000),
    "!bookTicker": StreamName(StreamKind.ALL_BOOK_TICKERS, StreamRoute.PUBLIC, period_ms=5000),
    "!markPrice@arr": StreamName(StreamKind.ALL_MARK_PRICES, StreamRoute.MARKET, period_ms=3000),
    "!markPrice@arr@1s": StreamName(StreamKind.ALL_MARK_PRICES, StreamRoute.MARKET, period_ms=1000),
    CONTRACT_INFO: StreamName(StreamKind.CONTRACT_INFO, StreamRoute.MARKET),
}


def parse_stream(venue: Venue, name: str) -> StreamName | None:
    """Parse *name*; None for one that Binance acknowledges and never delivers.

    Such a name is misspelt, in upper case, or not on this venue.
    """
    if venue is Venue.PERP and name in _ALL_MARKET:
        return _ALL_MARKET[name]
    symbol, at, feed = name.partition("@")
    if not at or not symbol or symbol != symbol.lower():
        return None
    return _of_symbol(venue, symbol.upper(), feed)


def is_listen_key(name: str) -> bool:
    """Whether *name* has the form of a listenKey, known or not."""
    return _LISTEN_KEY.fullmatch(name) is not None


def _of_symbol(venue: Venue, symbol: str, feed: str) -> StreamName | None:
    book = StreamRoute.SPOT if venue is Venue.SPOT else StreamRoute.PUBLIC
    market = StreamRoute.SPOT if venue is Venue.SPOT else StreamRoute.MARKET
    match feed:
        case "bookTicker":
            return StreamName(StreamKind.BOOK_TICKER, book, symbol)
        case "aggTrade":
            return StreamName(StreamKind.AGG_TRADE, market, symbol, period_ms=100)
        case "markPrice" if venue is Venue.PERP:
            return StreamName(StreamKind.MARK_PRICE, market, symbol, period_ms=3000)
        case "markPrice@1s" if venue is Venue.PERP:
            return StreamName(StreamKind.MARK_PRICE, market, symbol, period_ms=1000)
        case _:
            return _depth(venue, book, symbol, feed)


def _depth(venue: Venue, route: StreamRoute, symbol: str, feed: str) -> StreamName | None:
    found = _DEPTH.fullmatch(feed)
    if found is None or (venue is Venue.SPOT and found["speed"] == "500"):
        return None
    period_ms = int(found["speed"] or _DEFAULT_DEPTH_MS[venue])
    if found["levels"] is None:
        return StreamName(StreamKind.DIFF_DEPTH, route, symbol, period_ms)
    return StreamName(StreamKind.PARTIAL_DEPTH, route, symbol, period_ms, int(found["levels"]))


class ConnectionPath(Struct, frozen=True):
    """The parsed URL of a WebSocket connection.

    Attributes:
        streams: Names, and listenKeys on `/private`.
        user_events: Of each listenKey in the query: the events that it may deliver; None if the
            query does not restrict them.
    """

    route: StreamRoute
    streams: tuple[str, ...]
    combined: bool
    microseconds: bool = False
    user_events: Mapping[str, frozenset[str] | None] = field(default_factory=dict)


_ROUTE_OF_PATH = {
    "public": StreamRoute.PUBLIC,
    "market": StreamRoute.MARKET,
    "private": StreamRoute.PRIVATE,
}


def parse_path(venue: Venue, target: str) -> ConnectionPath | None:
    """Parse a request target: `/ws/btcusdt@bookTicker`, `/public/stream?streams=a/b`.

    None for a path that Binance answers with 404.
    """
    path, _, query = target.partition("?")
    microseconds = venue is Venue.SPOT and is_microseconds(_value_in(query, "timeUnit")) is True
    parts = path.strip("/").split("/")
    route = StreamRoute.SPOT
    if venue is Venue.PERP:
        route = _ROUTE_OF_PATH.get(parts[0], StreamRoute.PUBLIC)
        parts = parts[1:] if parts[0] in _ROUTE_OF_PATH else parts
    match parts:
        case ["ws", *streams]:
            names, combined = tuple(filter(None, map(unquote, streams))), False
        case ["stream"]:
            names, combined = _streams_of(query), True
        case _:
            return None
    events = _user_events(query) if route is StreamRoute.PRIVATE else {}
    return ConnectionPath(route, (*names, *events), combined, microseconds, events)


def _user_events(query: str) -> dict[str, frozenset[str] | None]:
    """Of `listenKey=<key>&events=ORDER_TRADE_UPDATE/ALGO_UPDATE`, which may repeat."""
    events: dict[str, frozenset[str] | None] = {}
    key = ""
    for name, value in parse_qsl(query):
        if name == "listenKey":
            key = value
            events[key] = None
        elif name == "events" and key:
            events[key] = frozenset(value.split("/"))
    return events


def _streams_of(query: str) -> tuple[str, ...]:
    # Some clients escape "@", "!" and "/"; all of them escape letters that are not ASCII.
    return tuple(filter(None, unquote(_value_in(query, "streams")).split("/")))


def _value_in(query: str, key: str) -> str:
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name == key:
            return value
    return ""
