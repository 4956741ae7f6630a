"""`/xchg/quotes`: the newest published quotes, as values and as server-sent events."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.types import ASGIApp

from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard, QuoteFilter
from chimera_s1.app.capabilities.market.web.instrument_parameters import (
    SYMBOLS_MAX,
    SymbolInPath,
    SymbolsWanted,
    VenueInPath,
    VenueWanted,
    instrument_in_path,
    read_symbol,
)
from chimera_s1.app.capabilities.market.web.problems import (
    QUOTE_GONE,
    QUOTE_UNKNOWN,
    TOO_MANY_OF_ACTOR,
    TOO_MANY_SUBSCRIBERS,
    QuoteGoneError,
    QuoteUnknownError,
)
from chimera_s1.app.capabilities.market.web.quote_events import EVENT_STREAM, QuoteEvents
from chimera_s1.app.capabilities.market.web.schemas import QuoteListView, QuoteView
from chimera_s1.app.web.problem_kinds import REQUEST_INVALID, VALUE_INVALID
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

_EVENTS_EXAMPLE = """\
retry: 2000

id: 4711
event: quote
data: {"ts":1772514460893,"symbol":"BTCUSDT","venue":"spot","bid1":67403.8,"ask1":67403.9,\
"mid":67403.85,"spread_bps":0.0148,"top1_qty":1.25,"top1_usdt":84254.81,\
"src":"binance.spot.bookTicker","state":"LIVE","age_ms":3}

event: status
data: {"ts":1772514465000,"symbol":"BTCUSDT","venue":"spot","state":"BLIND",\
"since":1772514460893,"cause":"spot-0: connection reset by peer"}

"""


class QuotesController(Controller):
    """Quotes from memory, with the values that are on the Redis Streams."""

    path = "/xchg/quotes"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("quotes",)

    @get(
        operation_id="list_quotes",
        summary="The newest quotes",
        responses={400: problem_spec(REQUEST_INVALID, VALUE_INVALID)},
        sync_to_thread=False,
    )
    def list_quotes(
        self,
        quote_board: NamedDependency[QuoteBoard],
        current_status: NamedDependency[CurrentStatus],
        venue: VenueWanted = None,
        symbol: SymbolsWanted = None,
    ) -> QuoteListView:
        """The newest published quote of each instrument and source.

        An instrument without a quote since the start, or that the venue does not trade any more,
        is not in the list.
        """
        chosen = _filter(venue, symbol)
        quotes = quote_board.newest_matching(chosen)
        return QuoteListView(tuple(QuoteView.of(quote, current_status) for quote in quotes))

    @get(
        "/stream",
        operation_id="stream_quotes",
        summary="Quotes as they are published, as server-sent events",
        responses={
            200: ResponseSpec(
                str,
                generate_examples=False,
                description="Events named `quote` and `status`",
                media_type=EVENT_STREAM,
                examples=[Example(summary="A quote and a status", value=_EVENTS_EXAMPLE)],
            ),
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            429: problem_spec(TOO_MANY_OF_ACTOR),
            503: problem_spec(TOO_MANY_SUBSCRIBERS),
        },
        sync_to_thread=False,
    )
    def stream_quotes(
        self,
        quote_board: NamedDependency[QuoteBoard],
        current_status: NamedDependency[CurrentStatus],
        actor: NamedDependency[Actor],
        venue: VenueWanted = None,
        symbol: SymbolsWanted = None,
    ) -> ASGIApp:
        """First the newest quote of each instrument, then each as it is published.

        An event named `status` says that the state of an instrument has changed: a quote that was
        LIVE may be BLIND although no newer one comes. A slow reader gets the newest quote of each
        instrument and misses those in between. `id` counts all quotes that the service publishes,
        from 1 at each start. A comment line is sent after 15 s without an event.

        One actor may have 16 streams open; all together may have 64, of which 16 are kept for
        actors with fewer than 2.
        """
        return QuoteEvents(quote_board, _filter(venue, symbol), current_status, actor.name)

    @get(
        "/{venue:str}/{symbol:str}",
        operation_id="read_quote",
        summary="The newest quote of one instrument",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(QUOTE_UNKNOWN),
            410: problem_spec(QUOTE_GONE),
        },
        sync_to_thread=False,
    )
    def read_quote(
        self,
        quote_board: NamedDependency[QuoteBoard],
        current_status: NamedDependency[CurrentStatus],
        venue: VenueInPath,
        symbol: SymbolInPath,
    ) -> QuoteView:
        """The newest published quote; of several sources, the one with the latest `ts`."""
        instrument = instrument_in_path(venue, symbol)
        quote = quote_board.newest(instrument)
        gone = quote_board.why_withdrawn(instrument)
        if gone is not None:
            raise QuoteGoneError(f"{instrument} has no quote any more: {gone}")
        if quote is None:
            raise QuoteUnknownError(
                f"no quote of {instrument} was published since the start; add it to S1_SYMBOLS and "
                "start again, or, where it is there, see /health for what keeps it away "
                "(with S1_SHARD, another instance may serve it)"
            )
        return QuoteView.of(quote, current_status)


def _filter(venue: Venue | None, symbols: list[str] | None) -> QuoteFilter:
    names = [name for text in symbols or () for name in text.split(",")]
    if len(names) > SYMBOLS_MAX:
        raise InvalidValueError(
            f"{len(names)} symbols are named; name at most {SYMBOLS_MAX}, or none for all"
        )
    return QuoteFilter(venue, frozenset(map(read_symbol, names)))
