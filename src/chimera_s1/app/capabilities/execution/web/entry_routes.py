"""`/xchg/futures/entries` and `/xchg/spot/entries`: request, read and cancel entries."""

from itertools import islice
from typing import Annotated
from urllib.parse import quote

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter, RawBody

from chimera_s1.app.capabilities.execution.entries.accept_entries import (
    EntryKeyReusedError,
    EntryPicture,
)
from chimera_s1.app.capabilities.execution.entries.use_cases import Entries
from chimera_s1.app.capabilities.execution.web.entry_openapi import (
    CANCEL_RESPONSES,
    ENTRY_RESPONSES,
    FUTURES_KEY_EXAMPLE,
    SPOT_KEY_EXAMPLE,
    CancelOperation,
    FuturesEntryOperation,
    SpotEntryOperation,
)
from chimera_s1.app.capabilities.execution.web.entry_problems import (
    ENTRY_NOT_FOUND,
    entry_problem,
    remember_key,
)
from chimera_s1.app.capabilities.execution.web.entry_request import (
    FUTURES_FIELDS,
    KEY_FIELDS,
    SPOT_FIELDS,
    entry_request,
    futures_spec,
    read_disarm,
    spot_spec,
)
from chimera_s1.app.capabilities.execution.web.entry_schemas import (
    EntryDetailView,
    EntryListView,
    EntryView,
)
from chimera_s1.app.capabilities.execution.web.problems import EXECUTION_DISABLED
from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.web.idempotency_key import KEY_HEADER, key_from_headers, key_from_request
from chimera_s1.app.web.json_object import JsonObject, read_json_object
from chimera_s1.app.web.parameters import parse_value
from chimera_s1.app.web.problem_kinds import REQUEST_INVALID, STORE_UNAVAILABLE, VALUE_INVALID
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import (
    SYMBOL_PATTERN,
    TRANSFER_ID_PATTERN,
    TransferId,
    Venue,
    parse_symbol,
    parse_transfer_id,
)

ENTRIES_MAX = 500
_FuturesEntryId = Annotated[
    str,
    PathParameter(
        description="The key of the entry.",
        examples=[Example(value=FUTURES_KEY_EXAMPLE)],
        schema_extra={"pattern": f"^{TRANSFER_ID_PATTERN}$"},
    ),
]
_SpotEntryId = Annotated[
    str,
    PathParameter(
        description="The key of the entry.",
        examples=[Example(value=SPOT_KEY_EXAMPLE)],
        schema_extra={"pattern": f"^{TRANSFER_ID_PATTERN}$"},
    ),
]
_Symbol = Annotated[
    str | None,
    QueryParameter(
        description="Only this symbol.",
        examples=[Example(value="BTCUSDT")],
        schema_extra={"pattern": f"^{SYMBOL_PATTERN}$"},
    ),
]
_State = Annotated[
    EntryStatus | None,
    QueryParameter(
        name="state", description="Only this state.", examples=[Example(value="PROTECTED")]
    ),
]
_OpenOnly = Annotated[
    bool,
    QueryParameter(
        name="open", description="Only entries that have not ended.", examples=[Example(value=True)]
    ),
]
_Limit = Annotated[
    int,
    QueryParameter(
        description="Entries that are listed.",
        ge=1,
        le=ENTRIES_MAX,
        examples=[Example(value=50)],
    ),
]
_READ_RESPONSES = {
    400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
    404: problem_spec(ENTRY_NOT_FOUND),
    503: problem_spec(EXECUTION_DISABLED, STORE_UNAVAILABLE, LEDGER_DAMAGED, LEDGER_TOO_NEW),
}
_LIST_RESPONSES = {
    400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
    503: problem_spec(EXECUTION_DISABLED),
}


class FuturesEntriesController(Controller):
    """A post-only limit order, and a stop for whatever it fills."""

    path = "/xchg/futures/entries"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("entries",)

    @post(
        "/",
        opt={"scope": Scope.ORDERS_TRADE},
        operation_id="request_futures_entry",
        operation_class=FuturesEntryOperation,
        summary="Enter a futures position",
        response_description="The entry as it is now",
        responses=ENTRY_RESPONSES,
        exception_handlers={Exception: entry_problem},
        status_code=200,
    )
    async def request_futures_entry(
        self,
        request: AnyRequest,
        body: RawBody,
        entries: NamedDependency[Entries],
        actor: NamedDependency[Actor],
    ) -> Response[EntryView]:
        """Accepts the entry once per key, places its limit order, and answers with its state.

        The same request with the same key places nothing again: its reply shows the present state.
        After 429, 500, 503 or no reply send it again; after 422 use a new key. Nothing was sent to
        the exchange where a problem is answered, except after 500.
        """
        key, fields = _key_and_fields(request, body, FUTURES_FIELDS)
        wanted = entry_request(key, futures_spec(fields))
        return _reply(await entries.accept(wanted, _actor_text(actor)), Venue.PERP)

    @get(
        "/",
        operation_id="list_futures_entries",
        summary="Futures entries, newest first",
        responses=_LIST_RESPONSES,
        sync_to_thread=False,
    )
    def list_futures_entries(
        self,
        entries: NamedDependency[Entries],
        symbol: _Symbol = None,
        status: _State = None,
        open_only: _OpenOnly = False,
        limit: _Limit = 100,
    ) -> EntryListView:
        """From memory: every open one, and the newest that have ended."""
        return _listed(entries, Venue.PERP, symbol, status, open_only, limit)

    @get(
        "/{entry_id:str}",
        operation_id="read_futures_entry",
        summary="One futures entry",
        responses=_READ_RESPONSES,
    )
    async def read_futures_entry(
        self, entry_id: _FuturesEntryId, entries: NamedDependency[Entries]
    ) -> EntryDetailView:
        """The entry as it is now, and its timeline, which is read from the store."""
        return await _detail(entries, entry_id, Venue.PERP)

    @post(
        "/{entry_id:str}/cancel",
        opt={"scope": Scope.ORDERS_TRADE},
        operation_id="cancel_futures_entry",
        operation_class=CancelOperation,
        summary="Cancel a futures entry",
        responses=CANCEL_RESPONSES,
        status_code=200,
    )
    async def cancel_futures_entry(
        self,
        request: AnyRequest,
        body: RawBody,
        entry_id: _FuturesEntryId,
        entries: NamedDependency[Entries],
        actor: NamedDependency[Actor],
    ) -> EntryView:
        """Cancels what is not filled. Protection stays unless `disarm` is true: then the position
        is the caller's. No mode and no kill switch blocks it.
        """
        return await _cancelled(request, body, entry_id, Venue.PERP, entries, actor)


class SpotEntriesController(Controller):
    """A market order, and an OCO of take profit and stop that ends what it has opened."""

    path = "/xchg/spot/entries"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("entries",)

    @post(
        "/",
        opt={"scope": Scope.ORDERS_TRADE},
        operation_id="request_spot_entry",
        operation_class=SpotEntryOperation,
        summary="Enter a spot position",
        response_description="The entry as it is now",
        responses=ENTRY_RESPONSES,
        exception_handlers={Exception: entry_problem},
        status_code=200,
    )
    async def request_spot_entry(
        self,
        request: AnyRequest,
        body: RawBody,
        entries: NamedDependency[Entries],
        actor: NamedDependency[Actor],
    ) -> Response[EntryView]:
        """Accepts the entry once per key, places its market order, and answers with its state.

        The same request with the same key places nothing again: its reply shows the present state.
        After 429, 500, 503 or no reply send it again; after 422 use a new key. Nothing was sent to
        the exchange where a problem is answered, except after 500.
        """
        key, fields = _key_and_fields(request, body, SPOT_FIELDS)
        wanted = entry_request(key, spot_spec(fields))
        return _reply(await entries.accept(wanted, _actor_text(actor)), Venue.SPOT)

    @get(
        "/",
        operation_id="list_spot_entries",
        summary="Spot entries, newest first",
        responses=_LIST_RESPONSES,
        sync_to_thread=False,
    )
    def list_spot_entries(
        self,
        entries: NamedDependency[Entries],
        symbol: _Symbol = None,
        status: _State = None,
        open_only: _OpenOnly = False,
        limit: _Limit = 100,
    ) -> EntryListView:
        """From memory: every open one, and the newest that have ended."""
        return _listed(entries, Venue.SPOT, symbol, status, open_only, limit)

    @get(
        "/{entry_id:str}",
        operation_id="read_spot_entry",
        summary="One spot entry",
        responses=_READ_RESPONSES,
    )
    async def read_spot_entry(
        self, entry_id: _SpotEntryId, entries: NamedDependency[Entries]
    ) -> EntryDetailView:
        """The entry as it is now, and its timeline, which is read from the store."""
        return await _detail(entries, entry_id, Venue.SPOT)

    @post(
        "/{entry_id:str}/cancel",
        opt={"scope": Scope.ORDERS_TRADE},
        operation_id="cancel_spot_entry",
        operation_class=CancelOperation,
        summary="Cancel a spot entry",
        responses=CANCEL_RESPONSES,
        status_code=200,
    )
    async def cancel_spot_entry(
        self,
        request: AnyRequest,
        body: RawBody,
        entry_id: _SpotEntryId,
        entries: NamedDependency[Entries],
        actor: NamedDependency[Actor],
    ) -> EntryView:
        """Nothing changes unless `disarm` is true: then the OCO or the guard goes, and what is held
        is the caller's. No mode and no kill switch blocks it.
        """
        return await _cancelled(request, body, entry_id, Venue.SPOT, entries, actor)


def _key_and_fields(
    request: AnyRequest, body: bytes, known: tuple[str, ...]
) -> tuple[TransferId, JsonObject]:
    in_headers = key_from_headers(request.headers.getall(KEY_HEADER, []))
    fields = read_json_object(_media_type(request), body, known)
    key = key_from_request(in_headers, fields, KEY_FIELDS)
    remember_key(request, key)
    return key, fields


def _reply(now: EntryPicture, venue: Venue) -> Response[EntryView]:
    if now.entry.spec.instrument.venue is not venue:
        raise EntryKeyReusedError(
            f"{now.entry.entry_id} is the key of an entry of the other venue; use a new key"
        )
    return Response(EntryView.of(now), headers={"Location": _path(now)})


def _path(now: EntryPicture) -> str:
    name = "futures" if now.entry.spec.instrument.venue is Venue.PERP else "spot"
    return f"/xchg/{name}/entries/{quote(now.entry.entry_id, safe=':@+=,')}"


def _listed(  # noqa: PLR0917 (parameters of the query)
    entries: Entries,
    venue: Venue,
    symbol: str | None,
    status: EntryStatus | None,
    open_only: bool,
    limit: int,
) -> EntryListView:
    found = entries.newest(
        venue,
        symbol=None if symbol is None else parse_value("symbol", parse_symbol, symbol),
        status=status,
        open_only=open_only,
    )
    return EntryListView(entries=tuple(map(EntryView.of, islice(found, limit))))


async def _detail(entries: Entries, entry_id: str, venue: Venue) -> EntryDetailView:
    now = await entries.get(_parsed_id(entry_id), venue)
    return EntryDetailView.with_timeline(now, await entries.timeline(now.entry.entry_id))


async def _cancelled(  # noqa: PLR0917 (parts of the request)
    request: AnyRequest,
    body: bytes,
    entry_id: str,
    venue: Venue,
    entries: Entries,
    actor: Actor,
) -> EntryView:
    disarm = read_disarm(_media_type(request), body)
    now = await entries.cancel(_parsed_id(entry_id), venue, disarm=disarm, actor=_actor_text(actor))
    return EntryView.of(now)


def _parsed_id(text: str) -> TransferId:
    return parse_value("entry_id", parse_transfer_id, text)


def _media_type(request: AnyRequest) -> str:
    media_type: str = request.headers.get("content-type", "")
    return media_type


def _actor_text(actor: Actor) -> str:
    """The actor and the id of its token, as the ledger records them."""
    return f"{actor.name}/{actor.kid}"
