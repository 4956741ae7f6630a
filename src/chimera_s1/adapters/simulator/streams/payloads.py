"""Stream payloads, byte for byte in Binance's key order.

Spot book tickers and partial depths carry no event time, and partial depths no symbol; futures
ones carry both, and `ps` and `st` since the COIN-M integration of June 2026. Shapes: Binance, Spot
"WebSocket Streams" and USD-M "WebSocket Market Streams".
"""

from collections.abc import Sequence

import orjson

from chimera_s1.adapters.simulator.market.leverage_brackets import LeverageBracket
from chimera_s1.adapters.simulator.market.mark_prices import (
    estimated_rate,
    mark_and_index_price,
    next_funding_ms,
)
from chimera_s1.adapters.simulator.market.market import BookVersion, SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import (
    PATH_LENGTH,
    Book,
    asks_of,
    bids_of,
)
from chimera_s1.adapters.simulator.market.symbols import (
    TRADIFI_PERPETUAL,
    Level,
    SymbolSpec,
)
from chimera_s1.adapters.simulator.market.trades import AggregateTrade
from chimera_s1.adapters.simulator.market.trading_hours import Session, TradingHours
from chimera_s1.domain.identifiers import Venue


class BookTickerEncoder:
    """Encodes the book tickers of one symbol; all but id and times is encoded once per book."""

    __slots__ = ("_head", "_market", "_tails")

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        spot = market.spec.venue is Venue.SPOT
        self._head = b'{"u":' if spot else b'{"e":"bookTicker","u":'
        self._tails: list[bytes | None] = [None] * PATH_LENGTH

    def encode(self, times: bytes) -> bytes:
        """The payload of the current book; *times* comes from `book_ticker_times`."""
        market = self._market
        tail = self._tails[market.position]
        if tail is None:
            tail = self._tails[market.position] = _book_ticker_tail(market.spec, market.book)
        return b"%b%d%b%b" % (self._head, market.update_id, times, tail)


def book_ticker_times(venue: Venue, now_ms: int) -> bytes:
    """The times of a book ticker; empty on spot."""
    return b"" if venue is Venue.SPOT else b',"E":%d,"T":%d' % (now_ms, now_ms - 1)


def _book_ticker_tail(spec: SymbolSpec, book: Book) -> bytes:
    pair = "" if spec.venue is Venue.SPOT else f'"ps":"{spec.pair}",'
    kind = "" if spec.venue is Venue.SPOT else f',"st":{spec.margin_kind}'
    return (
        f',"s":"{spec.symbol}",{pair}"b":"{spec.price(book.bid)}","B":"'
        f'{spec.quantity(book.bid_steps)}","a":"{spec.price(book.ask)}","A":"'
        f'{spec.quantity(book.ask_steps)}"{kind}}}'
    ).encode()


def partial_depth(market: SymbolMarket, levels: int, previous: BookVersion, now_ms: int) -> bytes:
    """The best *levels* of both sides.

    Futures send them in the shape of a diff, chained to the *previous* frame of the same stream.
    """
    spec = market.spec
    bids = _levels(spec, bids_of(market.book, levels))
    asks = _levels(spec, asks_of(market.book, levels))
    if spec.venue is Venue.SPOT:
        return f'{{"lastUpdateId":{market.update_id},"bids":{bids},"asks":{asks}}}'.encode()
    return _futures_depth(market, previous, now_ms, bids, asks)


def diff_depth(
    market: SymbolMarket,
    bids: Sequence[Level],
    asks: Sequence[Level],
    previous: BookVersion,
    now_ms: int,
) -> bytes:
    """Levels changed since *previous*: spot chains by `U = previous u + 1`, futures by `pu`."""
    spec = market.spec
    bid_text, ask_text = _levels(spec, bids), _levels(spec, asks)
    if spec.venue is Venue.PERP:
        return _futures_depth(market, previous, now_ms, bid_text, ask_text)
    return (
        f'{{"e":"depthUpdate","E":{now_ms},"s":"{spec.symbol}","U":{market.first_id_after(previous)},'
        f'"u":{market.update_id},"b":{bid_text},"a":{ask_text}}}'
    ).encode()


def _futures_depth(
    market: SymbolMarket, previous: BookVersion, now_ms: int, bids: str, asks: str
) -> bytes:
    spec = market.spec
    return (
        f'{{"e":"depthUpdate","E":{now_ms},"T":{now_ms - 1},"s":"{spec.symbol}",'
        f'"ps":"{spec.pair}","U":{market.first_id_after(previous)},"u":{market.update_id},'
        f'"pu":{previous.update_id},"b":{bids},"a":{asks},"st":{spec.margin_kind}}}'
    ).encode()


def _levels(spec: SymbolSpec, levels: Sequence[Level]) -> str:
    return orjson.dumps(spec.levels(levels)).decode()


def agg_trade(spec: SymbolSpec, trade: AggregateTrade, now_ms: int) -> bytes:
    """One or more trades at one price."""
    quantity = spec.quantity(trade.steps)
    row: dict[str, object] = {"e": "aggTrade", "E": now_ms, "s": spec.symbol}
    row |= {"a": trade.number, "p": spec.price(trade.ticks), "q": quantity}
    if spec.venue is Venue.PERP:
        row["nq"] = quantity
    row |= {"f": trade.first_id, "l": trade.last_id, "T": now_ms - 1, "m": trade.sold}
    row |= {"M": True} if spec.venue is Venue.SPOT else {"st": spec.margin_kind}
    return orjson.dumps(row)


def mark_price(market: SymbolMarket, now_ms: int) -> bytes:
    """One `markPriceUpdate`; `r` is the running estimate, never a realised rate."""
    spec = market.spec
    mark, index = mark_and_index_price(market)
    settles = next_funding_ms(market, now_ms)
    rate = estimated_rate(market, settles, now_ms)
    return (
        f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{spec.symbol}","p":"{mark}","ap":"{mark}",'
        f'"i":"{index}","P":"{index}","r":"{rate}","T":{settles},'
        f'"st":{spec.margin_kind}}}'
    ).encode()


def all_mark_prices(markets: Sequence[SymbolMarket], now_ms: int) -> list[bytes]:
    """The whole market in Binance's two messages: TradFi symbols have one of their own."""
    tradfi = [m for m in markets if m.spec.contract_type == TRADIFI_PERPETUAL]
    others = [m for m in markets if m.spec.contract_type != TRADIFI_PERPETUAL]
    return [
        b"[%b]" % b",".join(mark_price(market, now_ms) for market in group)
        for group in (others, tradfi)
        if group
    ]


def contract_info(spec: SymbolSpec, now_ms: int, brackets: Sequence[LeverageBracket] = ()) -> bytes:
    """One `contractInfo`, as sent when a contract is listed, changed or settled.

    *brackets* are sent only where they changed; their numbers are JSON numbers.
    """
    row: dict[str, object] = {
        "e": "contractInfo",
        "E": now_ms,
        "s": spec.symbol,
        "ps": spec.pair,
        "ct": spec.contract_type,
        "dt": spec.delivery_ms,
        "ot": spec.onboard_ms,
        "cs": spec.status,
    }
    if brackets:
        row["bks"] = [_bracket(each) for each in brackets]
    return orjson.dumps({**row, "st": spec.margin_kind})


def trading_sessions(hours: TradingHours, now_ms: int) -> list[bytes]:
    """One message for each of the two markets whose event Binance documents."""
    return [
        _trading_session(event, hours.current(kind, now_ms), now_ms)
        for kind, event in (("EQUITY", "EquityUpdate"), ("COMMODITY", "CommodityUpdate"))
    ]


def _trading_session(event: str, session: Session, now_ms: int) -> bytes:
    times = {"t": session.start_ms, "T": session.end_ms}
    return orjson.dumps({"e": event, "E": now_ms, **times, "S": session.kind})


def _bracket(bracket: LeverageBracket) -> dict[str, object]:
    return {
        "bs": bracket.number,
        "bnf": bracket.floor,
        "bnc": bracket.cap,
        "mmr": float(bracket.maintenance_ratio),
        "cf": float(bracket.cumulated),
        "mi": bracket.min_leverage,
        "ma": bracket.max_leverage,
    }
