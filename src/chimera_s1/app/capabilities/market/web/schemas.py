"""Quotes as the HTTP API shows them."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote


class QuoteView(Struct, frozen=True):
    """A quote under the names it has on its Redis Stream."""

    ts: Annotated[
        int, Meta(description="Time of the quote, local epoch ms.", examples=[1772514460893])
    ]
    symbol: Annotated[str, Meta(description="The venue's own code.", examples=["BTCUSDT"])]
    venue: Annotated[Venue, Meta(description="Where it trades.", examples=["spot"])]
    bid1: Annotated[float, Meta(description="Best bid, USDT.", examples=[67403.8])]
    ask1: Annotated[float, Meta(description="Best ask, USDT.", examples=[67403.9])]
    mid: Annotated[float, Meta(description="`(bid1 + ask1) / 2`, USDT.", examples=[67403.85])]
    spread_bps: Annotated[
        float, Meta(description="`(ask1 - bid1) / mid * 1e4`, basis points.", examples=[0.0148])
    ]
    top1_qty: Annotated[
        float, Meta(description="The smaller quantity of the two sides.", examples=[1.25])
    ]
    top1_usdt: Annotated[float, Meta(description="`top1_qty * mid`, USDT.", examples=[84254.81])]
    src: Annotated[
        str, Meta(description="Source of the quote.", examples=["binance.spot.bookTicker"])
    ]

    @classmethod
    def of(cls, quote: Quote) -> Self:
        return cls(
            ts=quote.ts,
            symbol=quote.instrument.symbol,
            venue=quote.instrument.venue,
            bid1=quote.bid,
            ask1=quote.ask,
            mid=quote.mid,
            spread_bps=quote.spread_bps,
            top1_qty=quote.top1_qty,
            top1_usdt=quote.top1_usdt,
            src=quote.source,
        )


class QuoteListView(Struct, frozen=True):
    """The newest quote of each instrument and source, in order of venue, symbol and source."""

    quotes: tuple[QuoteView, ...]
