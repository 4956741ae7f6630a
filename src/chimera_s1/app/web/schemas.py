"""What the HTTP API answers; every body is one of these structs."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.operations.report_health import HealthSnapshot
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.operations.health import HealthComponent
from chimera_s1.domain.operations.trading_mode import TradingMode

_LevelName = Annotated[
    str,
    Meta(
        description="From good to bad: GREEN, YELLOW, ORANGE, RED.",
        pattern="^(GREEN|YELLOW|ORANGE|RED)$",
        examples=["GREEN"],
    ),
]


class QuoteView(Struct, frozen=True):
    """A quote under the names it has on its Redis Stream."""

    ts: Annotated[
        int, Meta(description="When it was true, local epoch ms.", examples=[1772514460893])
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
    src: Annotated[str, Meta(description="Where from.", examples=["binance.spot.bookTicker"])]

    @classmethod
    def of(cls, quote: Quote) -> Self:
        """*quote* as it is shown."""
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


class ComponentView(Struct, frozen=True):
    """One component: its level, since when, and what is so."""

    name: Annotated[str, Meta(description="Which part of the service.", examples=["feed.spot"])]
    level: _LevelName
    since: Annotated[
        int, Meta(description="When it became so, local epoch ms.", examples=[1772514460893])
    ]
    detail: Annotated[
        str,
        Meta(
            description="What is so, and what to do about it.",
            examples=["300 instruments on 1 connection"],
        ),
    ]

    @classmethod
    def of(cls, component: HealthComponent) -> Self:
        """*component* as it is shown."""
        return cls(component.name, component.level.name, component.since, component.detail)


class HealthView(Struct, frozen=True):
    """The whole service; `status` is the worst level of its components."""

    status: _LevelName
    mode: Annotated[
        TradingMode, Meta(description="What it may still do with money.", examples=["NORMAL"])
    ]
    shard: Annotated[
        str, Meta(description="Which share of the instruments: index/count.", examples=["0/1"])
    ]
    version: Annotated[str, Meta(description="Of the service.", examples=["0.1.0"])]
    uptime_s: Annotated[int, Meta(description="Whole seconds since the start.", examples=[3600])]
    components: tuple[ComponentView, ...]

    @classmethod
    def of(cls, snapshot: HealthSnapshot) -> Self:
        """*snapshot* as it is shown."""
        return cls(
            status=snapshot.status.name,
            mode=snapshot.mode,
            shard=snapshot.shard,
            version=snapshot.version,
            uptime_s=snapshot.uptime_s,
            components=tuple(ComponentView.of(each) for each in snapshot.components),
        )


class ReadyView(Struct, frozen=True):
    """The service does its work; `components` are those that are RED without being required."""

    status: _LevelName
    components: tuple[ComponentView, ...]


class ProblemView(Struct, frozen=True):
    """An error as RFC 9457 describes it."""

    type: Annotated[
        str,
        Meta(
            description="Where the kind of problem is described.",
            examples=["/schema#quotes.unknown"],
        ),
    ]
    title: Annotated[str, Meta(description="The kind of problem, for people.")]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[404])]
    detail: Annotated[str, Meta(description="What was wrong this time, and what to do.")]
    instance: Annotated[str, Meta(description="The path that was asked.")]
    code: Annotated[
        str, Meta(description="The kind of problem, for programs.", examples=["quotes.unknown"])
    ]


class NotReadyView(ProblemView, frozen=True):
    """The problem that `/ready` answers, with the components that are RED."""

    components: tuple[ComponentView, ...]
