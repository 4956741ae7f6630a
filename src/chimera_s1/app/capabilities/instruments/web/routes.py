"""`/xchg/instruments`: the registry, from memory."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIType, Schema
from litestar.params import PathParameter, QueryParameter

from chimera_s1.app.capabilities.instruments.read_instruments import (
    PAGE_MAX,
    InstrumentFilter,
    ReadInstruments,
    entity_tag,
)
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.web.problems import (
    INSTRUMENT_UNKNOWN,
    LISTING_REFUSED,
)
from chimera_s1.app.capabilities.instruments.web.schemas import (
    InstrumentListView,
    InstrumentView,
    SyncListView,
    SyncView,
)
from chimera_s1.app.web.page_cursor import CURSOR_PATTERN, decode_cursor, encode_cursor
from chimera_s1.app.web.parameters import parse_value
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    EXCHANGE_REFUSED,
    EXCHANGE_UNAVAILABLE,
    REQUEST_INVALID,
    STORE_UNAVAILABLE,
    VALUE_INVALID,
)
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import (
    SYMBOL_PATTERN,
    InstrumentId,
    Symbol,
    Venue,
    parse_symbol,
)

SYMBOLS_MAX = 200
"""Symbols one request may name; without any it means all."""

_WORD = "^[A-Za-z0-9_ ]{1,64}$"
_MARK = re.compile(r"(spot|perp)/(\S{1,64})")
_CURSOR_EXAMPLE = encode_cursor("perp/BTCUSDT")
_SEVERAL_SYMBOLS = f"^{SYMBOL_PATTERN}(,{SYMBOL_PATTERN}){{0,{SYMBOLS_MAX - 1}}}$"
_NOT_MODIFIED = ResponseSpec(
    None, generate_examples=False, description="`If-None-Match` names the content of this page"
)
_TAG_NOTE = "Send the `ETag` of the last answer as `If-None-Match`: 304 says that nothing changed."


def _word(description: str, example: str) -> QueryParameter:
    return QueryParameter(
        description=f"{description}, in the venue's words.",
        examples=[Example(value=example)],
        pattern=_WORD,
    )


class InstrumentsController(Controller):
    """The instruments of the venues, whatever their status."""

    path = "/xchg/instruments"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("instruments",)

    @get(
        operation_id="list_instruments",
        summary="Instruments, by venue and symbol",
        description=f"One page. {_TAG_NOTE}",
        responses={304: _NOT_MODIFIED, 400: problem_spec(REQUEST_INVALID, VALUE_INVALID)},
        sync_to_thread=False,
    )
    def list_instruments(
        self,
        *,
        request: AnyRequest,
        read_instruments: NamedDependency[ReadInstruments],
        venue: Annotated[
            Venue | None,
            QueryParameter(
                description="Instruments of this venue only.", examples=[Example(value="perp")]
            ),
        ] = None,
        symbol: Annotated[
            list[str] | None,
            QueryParameter(
                description="These symbols only, at most 200; repeated, or separated by commas.",
                examples=[Example(value="BTCUSDT")],
                schema_extra={
                    "items": Schema(type=OpenAPIType.STRING, pattern=_SEVERAL_SYMBOLS),
                    "min_items": 1,
                    "max_items": SYMBOLS_MAX,
                },
            ),
        ] = None,
        status: Annotated[str | None, _word("Only of this status", "TRADING")] = None,
        contract_type: Annotated[
            str | None, _word("Only contracts of this type", "PERPETUAL")
        ] = None,
        quote_asset: Annotated[str | None, _word("Only what trades in this asset", "USDT")] = None,
        limit: Annotated[
            int,
            QueryParameter(
                description="Instruments per page.",
                ge=1,
                le=PAGE_MAX,
                examples=[Example(value=200)],
            ),
        ] = 200,
        cursor: Annotated[
            str | None,
            QueryParameter(
                description="`next_cursor` of the previous page.",
                schema_extra={"pattern": CURSOR_PATTERN, "examples": [_CURSOR_EXAMPLE]},
            ),
        ] = None,
    ) -> Response[InstrumentListView]:
        chosen = InstrumentFilter(
            venue=venue,
            symbols=_symbols(symbol or ()),
            status=_upper(status),
            contract_type=_upper(contract_type),
            quote_asset=_upper(quote_asset),
        )
        after = InstrumentId.parse(decode_cursor(cursor, _MARK)[0]) if cursor is not None else None
        page = read_instruments.page(chosen, limit=limit, after=after)
        tag = page.entity_tag()
        if _is_known(request, tag):
            return _not_modified(tag)
        following = encode_cursor(str(page.following)) if page.following is not None else ""
        view = InstrumentListView(tuple(map(InstrumentView.of, page.rows)), following)
        return Response(view, headers={"ETag": tag})

    @get(
        "/{venue:str}/{symbol:str}",
        operation_id="read_instrument",
        summary="One instrument",
        description=f"Its rules, dates and thresholds. {_TAG_NOTE}",
        responses={
            304: _NOT_MODIFIED,
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(INSTRUMENT_UNKNOWN),
        },
        sync_to_thread=False,
    )
    def read_instrument(
        self,
        request: AnyRequest,
        read_instruments: NamedDependency[ReadInstruments],
        venue: Annotated[
            Venue, PathParameter(description="`spot` or `perp`.", examples=[Example(value="perp")])
        ],
        symbol: Annotated[
            str,
            PathParameter(
                description="The venue's own code; lower case is read as upper case.",
                examples=[Example(value="BTCUSDT")],
                schema_extra={"pattern": f"^{SYMBOL_PATTERN}$"},
            ),
        ],
    ) -> Response[InstrumentView]:
        row = read_instruments.get(InstrumentId(venue, parse_value("symbol", parse_symbol, symbol)))
        tag = entity_tag(row)
        if _is_known(request, tag):
            return _not_modified(tag)
        return Response(InstrumentView.of(row), headers={"ETag": tag})

    @post(
        "/sync",
        opt={"scope": Scope.JOBS_RUN},
        operation_id="sync_instruments",
        summary="Read the listings now",
        response_description="What has changed",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            502: problem_spec(LISTING_REFUSED, EXCHANGE_REFUSED),
            503: problem_spec(EXCHANGE_UNAVAILABLE, STORE_UNAVAILABLE, ACCESS_DISABLED),
        },
        status_code=200,
    )
    async def sync_instruments(
        self,
        *,
        run_syncs: NamedDependency[RunSyncs],
        venue: Annotated[
            Venue | None,
            QueryParameter(
                description="Only this venue; all by default.", examples=[Example(value="perp")]
            ),
        ] = None,
        accept: Annotated[
            bool,
            QueryParameter(
                description="Apply what quarantine holds; compare it with the venue first.",
                examples=[Example(value=False)],
            ),
        ] = False,
    ) -> SyncListView:
        """Reads what each venue lists and applies it to the registry. It is safe to repeat."""
        venues = run_syncs.venues if venue is None else (venue,)
        results = await run_syncs.sync_each(venues, accept=accept)
        return SyncListView(tuple(map(SyncView.of, results)))


def _symbols(texts: Iterable[str]) -> frozenset[Symbol]:
    names = [name for text in texts for name in text.split(",")]
    if len(names) > SYMBOLS_MAX:
        raise InvalidValueError(
            f"{len(names)} symbols are named; name at most {SYMBOLS_MAX}, or none for all"
        )
    return frozenset(parse_value("symbol", parse_symbol, name) for name in names)


def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()


def _is_known(request: AnyRequest, tag: str) -> bool:
    """Whether the client has this content (RFC 9110, 13.1.2: the weak comparison)."""
    known = ",".join(request.headers.getall("if-none-match", []))
    opaque = tag.removeprefix("W/")
    given = {each.strip().removeprefix("W/") for each in known.split(",")}
    return bool(given & {opaque, "*"})


def _not_modified(tag: str) -> Response[Any]:
    return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
