"""Quotes and states as the HTTP API shows them."""

from enum import StrEnum
from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.market.current_status import CurrentStatus, InstrumentStatus
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote


class MarketState(StrEnum):
    """The states of `mkt:status:*`, and UNKNOWN while there is none yet."""

    LIVE = Liveness.LIVE.value
    QUIET = Liveness.QUIET.value
    LATE = Liveness.LATE.value
    DEGRADED = Liveness.DEGRADED.value
    STALE = Liveness.STALE.value
    BLIND = Liveness.BLIND.value
    GAP = Liveness.GAP.value
    UNKNOWN = "UNKNOWN"

    @classmethod
    def of(cls, state: Liveness | None) -> Self:
        return cls("UNKNOWN" if state is None else state.value)


_STATE = Meta(
    description=(
        "LIVE: updates arrive. QUIET: the market is calm. LATE: updates arrive late. DEGRADED: "
        "updates are refused. STALE, BLIND: updates are missing. GAP: nothing was received for a "
        "time. UNKNOWN: no state yet, as after the start. Trade on LIVE and QUIET only."
    ),
    examples=["LIVE"],
)


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
    state: Annotated[MarketState, _STATE]
    age_ms: Annotated[
        int, Meta(ge=0, description="Local time of the answer minus `ts`, ms.", examples=[412])
    ]

    @classmethod
    def of(cls, quote: Quote, status: CurrentStatus) -> Self:
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
            state=MarketState.of(status.state(quote.instrument)),
            age_ms=max(0, status.now_ms() - quote.ts),
        )


class QuoteListView(Struct, frozen=True):
    """The newest quote of each instrument and source, in order of venue, symbol and source."""

    quotes: tuple[QuoteView, ...]


class StatusView(Struct, frozen=True):
    """A state under the names it has on `mkt:status:*`."""

    ts: Annotated[
        int,
        Meta(description="When the state was found, local epoch ms.", examples=[1772514460893]),
    ]
    symbol: Annotated[
        str,
        Meta(
            description="The venue's own code; `*`: the connection that the cause names.",
            examples=["BTCUSDT"],
        ),
    ]
    venue: Annotated[Venue, Meta(description="Where it trades.", examples=["spot"])]
    state: Annotated[MarketState, _STATE]
    since: Annotated[
        int, Meta(description="Start of the state, local epoch ms.", examples=[1772514460893])
    ]
    cause: Annotated[
        str,
        Meta(
            description="Why; begins with the connection or the source.",
            examples=["binance.spot.bookTicker: updates arrive"],
        ),
    ]

    @classmethod
    def of(cls, status: InstrumentStatus) -> Self:
        venue, symbol = status.instrument.venue, status.instrument.symbol
        state = MarketState.of(status.state)
        return cls(status.ts, symbol, venue, state, status.since, status.cause)

    @classmethod
    def of_connection(cls, venue: Venue, entry: StatusChange) -> Self:
        state = MarketState.of(entry.state)
        return cls(entry.ts, entry.symbol, venue, state, entry.since, entry.cause)


class StatusListView(Struct, frozen=True):
    """First what concerns whole connections, then each instrument, by venue and symbol."""

    publishing: Annotated[
        bool,
        Meta(
            description="Whether this instance writes the streams; false: it is a standby.",
            examples=[True],
        ),
    ]
    publisher: Annotated[
        str,
        Meta(
            description="The other instance that writes the streams; empty if none is known.",
            examples=[""],
        ),
    ]
    statuses: tuple[StatusView, ...]

    @classmethod
    def of(cls, current: CurrentStatus) -> Self:
        report = current.publisher()
        shared = (StatusView.of_connection(venue, each) for venue, each in current.shared())
        instruments = map(StatusView.of, current.instruments())
        return cls(report.publishing, report.other, (*shared, *instruments))
