"""Book frames as Binance sends them, decoded in one pass from the combined-stream message.

Prices are JSON strings; the lax decoder reads them straight into float64 and refuses text that
Python's `float()` accepts (`"1_000"`, `" 1"`). NaN and Infinity decode and are refused by
`domain.market.quote.book_defect`.
"""

from collections.abc import Callable
from typing import Annotated, assert_never

import msgspec
from msgspec import Meta, Struct

from chimera_s1.domain.identifiers import Channel, Venue

COIN_MARGINED = 2

NonNegativeInt = Annotated[int, Meta(ge=0)]
Level = tuple[float, float]


class DecodedTop(Struct, frozen=True, gc=False):
    """Attributes:
    event_ms: The exchange's event time, epoch ms; None where the frame has none.

    symbol: Empty where the frame has none.

    coin_margined: True for a COIN-M row on a shared stream.

    bid, bid_qty, ask, ask_qty: As sent; 0 for an empty side.
    """

    update_id: int
    event_ms: int | None
    symbol: str
    coin_margined: bool
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class BookTickerMessage(Struct, gc=False):
    """Spot: `{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000",
    "A":"40.66000000"}`, without any time. USD-M adds `e`, `E`, `T`, `ps` and `st` (2 = COIN-M).
    """

    u: NonNegativeInt
    s: str
    b: float
    B: float
    a: float
    A: float
    E: NonNegativeInt | None = None
    st: int = 1

    def top(self) -> DecodedTop:
        coin_margined = self.st == COIN_MARGINED
        return DecodedTop(self.u, self.E, self.s, coin_margined, self.b, self.B, self.a, self.A)


class SpotDepthMessage(Struct, gc=False):
    """`{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}`: no time, no
    symbol.
    """

    lastUpdateId: NonNegativeInt  # noqa: N815 (Binance's name)
    bids: list[Level]
    asks: list[Level]

    def top(self) -> DecodedTop:
        bid, bid_qty = self.bids[0] if self.bids else (0.0, 0.0)
        ask, ask_qty = self.asks[0] if self.asks else (0.0, 0.0)
        return DecodedTop(self.lastUpdateId, None, "", False, bid, bid_qty, ask, ask_qty)  # noqa: FBT003


class PerpDepthMessage(Struct, gc=False):
    """`{"e":"depthUpdate","E":1772514460277,"T":1772514460276,"s":"BTCUSDT","U":390497796,
    "u":390497878,"pu":390497794,"b":[["67403.80","0.002"]],"a":[["67405.90","3.340"]],"st":1}`:
    the shape of a diff, holding the whole top 5 each time.
    """

    u: NonNegativeInt
    E: NonNegativeInt
    s: str
    b: list[Level]
    a: list[Level]
    st: int = 1

    def top(self) -> DecodedTop:
        bid, bid_qty = self.b[0] if self.b else (0.0, 0.0)
        ask, ask_qty = self.a[0] if self.a else (0.0, 0.0)
        return DecodedTop(
            self.u, self.E, self.s, self.st == COIN_MARGINED, bid, bid_qty, ask, ask_qty
        )


class _BookTickerEnvelope(Struct, gc=False):
    data: BookTickerMessage


class _SpotDepthEnvelope(Struct, gc=False):
    data: SpotDepthMessage


class _PerpDepthEnvelope(Struct, gc=False):
    data: PerpDepthMessage


_book_ticker_decoder = msgspec.json.Decoder(_BookTickerEnvelope, strict=False)
_spot_depth_decoder = msgspec.json.Decoder(_SpotDepthEnvelope, strict=False)
_perp_depth_decoder = msgspec.json.Decoder(_PerpDepthEnvelope, strict=False)


class _StreamName(Struct, gc=False):
    stream: str


_stream_decoder = msgspec.json.Decoder(_StreamName)

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of decoding arbitrary bytes; RecursionError comes from endless nesting."""

TopDecoder = Callable[[bytes], DecodedTop]


def top_decoder(venue: Venue, channel: Channel) -> TopDecoder:
    """The function that reads the top of book from a combined message of *channel*.

    It raises one of `DECODE_ERRORS` for bytes that are not such a message.
    """
    match venue, channel:
        case _, Channel.BOOK_TICKER:
            return lambda payload: _book_ticker_decoder.decode(payload).data.top()
        case Venue.SPOT, Channel.DEPTH5:
            return lambda payload: _spot_depth_decoder.decode(payload).data.top()
        case Venue.PERP, Channel.DEPTH5:
            return lambda payload: _perp_depth_decoder.decode(payload).data.top()
        case _:
            assert_never((venue, channel))


def stream_of(payload: bytes) -> bytes:
    """The stream's name in a combined message, in whatever order and spacing it is written; empty
    for any other message.
    """
    try:
        return _stream_decoder.decode(payload).stream.encode()
    except DECODE_ERRORS:
        return b""
