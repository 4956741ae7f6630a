"""`/xchg/funding`: the stored funding history."""

import re
from typing import Annotated, TypeAlias

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from chimera_s1.app.capabilities.funding.read_funding import (
    DEFAULT_DAYS,
    PAGE_MAX,
    WINDOW_DAYS_MAX,
    ReadFunding,
)
from chimera_s1.app.capabilities.funding.web.gap_schemas import GapListView
from chimera_s1.app.capabilities.funding.web.problems import CONTRACT_UNKNOWN
from chimera_s1.app.capabilities.funding.web.schemas import RecordListView, record_cursor
from chimera_s1.app.capabilities.funding.web.summary_schemas import SummaryView, day_cursor
from chimera_s1.app.utc_time import parse_time
from chimera_s1.app.web.json_object import RequestInvalidError
from chimera_s1.app.web.page_cursor import CURSOR_PATTERN, decode_cursor
from chimera_s1.app.web.parameters import parse_value
from chimera_s1.app.web.problem_kinds import (
    EXCHANGE_UNAVAILABLE,
    REQUEST_INVALID,
    STORE_UNAVAILABLE,
    VALUE_INVALID,
)
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.identifiers import SYMBOL_PATTERN, Symbol, parse_symbol

_MARK = re.compile(r"([0-9]{1,13}) (\S{1,64}) (.{1,64})")
_CURSOR_EXAMPLE = record_cursor(SettlementKey(1795910400000, Symbol("BTCUSDT"), "Regular"))
_DAY_MARK = re.compile(r"day ([0-9]{1,13}) (\S{1,64})")
_DAY_CURSOR_EXAMPLE = day_cursor(1795824000000, Symbol("BTCUSDT"))
_TIME = (
    r"^([0-9]{13}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$"
)


def _time(description: str) -> QueryParameter:
    return QueryParameter(
        description=f"{description}; epoch ms, or ISO 8601, UTC by default.",
        schema_extra={"pattern": _TIME, "examples": ["2026-11-27T08:00Z"]},
    )


_Start: TypeAlias = Annotated[
    str | None,
    _time(f"Settlements from this time on, included; by default {DEFAULT_DAYS} days before `end`"),
]
_End: TypeAlias = Annotated[
    str | None,
    _time(
        f"Settlements up to this time, included; by default now, at most {WINDOW_DAYS_MAX} days "
        "after `start`"
    ),
]
_Symbol: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        description="Only this contract; lower case is read as upper case.",
        examples=[Example(value="BTCUSDT")],
        schema_extra={"pattern": f"^{SYMBOL_PATTERN}$"},
    ),
]
_Limit: TypeAlias = Annotated[
    int,
    QueryParameter(description="Rows per page.", ge=1, le=PAGE_MAX, examples=[Example(value=100)]),
]


class FundingController(Controller):
    """Read from the store. `gaps`, `summary` and `backfill` in lower case are no symbols: routes
    have precedence, and a contract of such a name is asked for in upper case.
    """

    path = "/xchg/funding"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("funding",)

    @get(
        "/gaps",
        operation_id="list_funding_gaps",
        summary="What is missing of the funding history, and what is disputed",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(CONTRACT_UNKNOWN),
            503: problem_spec(STORE_UNAVAILABLE, EXCHANGE_UNAVAILABLE),
        },
    )
    async def list_funding_gaps(
        self,
        *,
        read_funding: NamedDependency[ReadFunding],
        symbol: _Symbol = None,
        limit: Annotated[
            int,
            QueryParameter(
                description="Gaps, and disputes, that are listed; the counts are of all.",
                ge=1,
                le=PAGE_MAX,
                examples=[Example(value=100)],
            ),
        ] = PAGE_MAX,
    ) -> GapListView:
        """By contract and time, as far as `S1_FUNDING_DAYS` reaches. Of all contracts it may be
        some minutes old.
        """
        return GapListView.of(await read_funding.gaps(_contract(symbol)), limit)

    @get(
        "/summary",
        operation_id="summarize_funding",
        summary="Funding paid and received, by UTC day and contract",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(CONTRACT_UNKNOWN),
            503: problem_spec(STORE_UNAVAILABLE, EXCHANGE_UNAVAILABLE),
        },
    )
    async def summarize_funding(
        self,
        *,
        read_funding: NamedDependency[ReadFunding],
        start: _Start = None,
        end: _End = None,
        symbol: _Symbol = None,
        limit: _Limit = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                description="`next_cursor` of the previous page, with the same `start` and `end`.",
                schema_extra={"pattern": CURSOR_PATTERN, "examples": [_DAY_CURSOR_EXAMPLE]},
            ),
        ] = None,
    ) -> SummaryView:
        """The whole days from that of `start` to that of `end`; without `symbol` at most 92. A
        contract of whose settlements no amount is known is left out of that day, but counted in
        the total.
        """
        after = None if cursor is None else _read_day_mark(cursor)
        window = read_funding.window(_read_time("start", start), _read_time("end", end))
        page = await read_funding.daily(_contract(symbol), window, limit=limit, after=after)
        return SummaryView.of(page)

    @get(
        "/{symbol:str}",
        operation_id="list_funding",
        summary="Funding records of one contract, the oldest first",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(CONTRACT_UNKNOWN),
            503: problem_spec(STORE_UNAVAILABLE, EXCHANGE_UNAVAILABLE),
        },
    )
    async def list_funding(
        self,
        *,
        read_funding: NamedDependency[ReadFunding],
        symbol: Annotated[
            str,
            PathParameter(
                description="The venue's code of the contract; lower case is read as upper case, "
                "but `gaps`, `summary` and `backfill` are other routes.",
                examples=[Example(value="BTCUSDT")],
                schema_extra={"pattern": f"^(?!(gaps|summary|backfill)$){SYMBOL_PATTERN}$"},
            ),
        ],
        start: _Start = None,
        end: _End = None,
        limit: _Limit = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                description="`next_cursor` of the previous page; `start` may then be left out.",
                schema_extra={"pattern": CURSOR_PATTERN, "examples": [_CURSOR_EXAMPLE]},
            ),
        ] = None,
    ) -> RecordListView:
        """One page, with the disputes of the window. A client that has read everything continues
        later with the time of its last record as `start`.
        """
        contract = _parsed(symbol)
        after = None if cursor is None else _read_mark(cursor, contract)
        first = _read_time("start", start)
        if after is not None and first is None:
            first = after.funding_time
        window = read_funding.window(first, _read_time("end", end))
        page = await read_funding.records(contract, window, limit=limit, after=after)
        return RecordListView.of(contract, page)


def _contract(text: str | None) -> Symbol | None:
    return None if text is None else _parsed(text)


def _parsed(text: str) -> Symbol:
    return parse_value("symbol", parse_symbol, text)


def _read_time(name: str, text: str | None) -> int | None:
    return None if text is None else parse_value(name, parse_time, text)


def _read_mark(cursor: str, symbol: Symbol) -> SettlementKey:
    found = decode_cursor(cursor, _MARK)
    if found[2] != symbol:
        raise RequestInvalidError(
            f"cursor: it is of another contract; omit it for the first page of {symbol}"
        )
    return SettlementKey(int(found[1]), symbol, found[3])


def _read_day_mark(cursor: str) -> tuple[int, Symbol]:
    found = decode_cursor(cursor, _DAY_MARK)
    return int(found[1]), Symbol(found[2])
