"""The HTTP endpoints over one store; faults come before it, in `fault_injection`."""

from collections.abc import Callable
from typing import Any

from tests.arango_double.access import Access
from tests.arango_double.api_collections import answer_collections, answer_indexes
from tests.arango_double.api_databases import answer_databases, create_database
from tests.arango_double.api_documents import answer_documents
from tests.arango_double.cursors import BATCH_SIZE, Cursor, Cursors
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.http_messages import (
    Request,
    Response,
    error_response,
    refuse_unknown,
)
from tests.arango_double.queries import run_query
from tests.arango_double.store import Database, Store

_AREAS: dict[str, Callable[[Store, Database, Request], Response]] = {
    "database": answer_databases,
    "collection": answer_collections,
    "index": answer_indexes,
    "document": answer_documents,
}
_UNKNOWN_HEADERS = (
    *("x-arango-trx-id", "x-arango-async", "x-arango-allow-dirty-read"),
    *("content-encoding", "if-none-match"),
)
_QUERY_OPTIONS = ("query", "bindVars", "batchSize", "ttl", "maxRuntime", "failOnWarning", "options")
_OFF = (None, False, 0)


class Api:
    """Attributes:
    unknown: Messages of all 501 responses so far; a test that expects one clears it.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self.cursors = Cursors()
        self.unknown: list[str] = []
        self._store = store
        self._access = access
        create_database(store, "_system", {})

    def respond(self, request: Request, past: Store | None = None) -> Response:
        """Answer *request* while no other request is answered.

        Args:
            past: What a stale coordinator reads instead of the store.
        """
        with self._store.lock:
            try:
                return self._route(request, past or self._store)
            except UnknownRequestError as error:
                self.unknown.append(error.message)
                return error_response(error)
            except ArangoError as error:
                return error_response(error)

    def _route(self, request: Request, store: Store) -> Response:
        root, area = [*request.segments, ""][:2]
        if root != "_api" or area not in {*_AREAS, "cursor"}:
            raise UnknownRequestError(f"{request.method} {request.path}")
        self._access.check(request)
        _refuse_unknown_headers(request)
        database = store[request.database]
        if area == "cursor":
            return self._answer_cursors(database, request)
        return _AREAS[area](store, database, request)

    def _answer_cursors(self, database: Database, request: Request) -> Response:
        request.allow_parameters()
        match request.method, request.segments[2:]:
            case "POST", []:
                return self._query(database, request)
            case "POST", [cursor_id]:
                return self.cursors.next_batch(cursor_id)
            case _:
                raise UnknownRequestError(f"{request.method} {request.path}")

    def _query(self, database: Database, request: Request) -> Response:
        if not request.body:
            raise UnknownRequestError("a query without a body")
        body = request.json_object()
        if not isinstance(body.get("query"), str):
            raise UnknownRequestError("a query without a text")
        options: dict[str, Any] = {**body, **(body.get("options") or {})}
        used = {name: value for name, value in options.items() if value not in _OFF}
        refuse_unknown("query option", used, _QUERY_OPTIONS)
        query, binds = body["query"], options.get("bindVars") or {}
        return self.cursors.start(
            Cursor(
                id=str(self._store.next_number()),
                coordinator=request.coordinator,
                rows=run_query(query, binds, database),
                batch_size=options.get("batchSize") or BATCH_SIZE,
            )
        )


def _refuse_unknown_headers(request: Request) -> None:
    for name in _UNKNOWN_HEADERS:
        if request.headers.get(name, "false") != "false":
            raise UnknownRequestError(f"the header {name}")
