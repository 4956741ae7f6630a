"""
What a coordinator does with a request, faults aside.
"""

from collections.abc import Callable
from typing import Any

from tests.arango_double.access import Access
from tests.arango_double.api_collections import answer_collections, answer_indexes
from tests.arango_double.api_databases import answer_databases, create_database
from tests.arango_double.api_documents import answer_documents
from tests.arango_double.aql_query import run_query
from tests.arango_double.cursors import BATCH_SIZE, Cursor, Cursors
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.requests_in import Answer, Request, failure, refuse_others
from tests.arango_double.store import Database, Store

_VERSION = {"server": "arango", "license": "enterprise", "version": "3.12.10"}
_AREAS: dict[str, Callable[[Store, Database, Request], Answer]] = {
    "collection": answer_collections,
    "index": answer_indexes,
    "document": answer_documents,
}

_UNKNOWN_HEADERS = ("x-arango-trx-id", "x-arango-async", "content-encoding")
_CURSOR_OPTIONS = (
    *("query", "bindVars", "count", "batchSize", "ttl", "memoryLimit", "options", "cache"),
    *("fillBlockCache", "failOnWarning", "stream", "maxRuntime", "allowRetry"),
)
_OFF = (None, False, 0)


class Api:
    """
    The endpoints over one store.

    Attributes:
        unknown: What was answered with 501, in words; a test that means it clears it.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self.cursors = Cursors()
        self.unknown: list[str] = []
        self._store = store
        self._access = access
        create_database(store, "_system", {})

    def answer(self, request: Request, seen: Store | None = None) -> Answer:
        """
        Do what *request* asks for, alone with the store.

        Args:
            seen: What a coordinator that lags behind takes for the present.
        """
        with self._store.lock:
            try:
                return self._route(request, seen or self._store)
            except UnknownRequestError as error:
                self.unknown.append(error.message)
                return failure(error)
            except ArangoError as error:
                return failure(error)

    def _route(self, request: Request, store: Store) -> Answer:
        if request.method == "POST" and request.path == "/_open/auth":
            return self._access.give_token(request)
        self._access.check(request)
        _refuse_unknown_headers(request)
        database = store[request.database]
        match request.segments[:2]:
            case ["_api", "version"] if request.method == "GET":
                return Answer(200, _VERSION)
            case ["_api", "database"]:
                return answer_databases(store, self._access, request)
            case ["_api", "cursor"]:
                return self._answer_cursor(store, database, request)
            case ["_api", area] if area in _AREAS:
                return _AREAS[area](store, database, request)
            case _:
                raise UnknownRequestError(f"{request.method} {request.path}")

    def _answer_cursor(self, store: Store, database: Database, request: Request) -> Answer:
        request.allow_query()
        match request.method, request.segments[2:]:
            case "POST", []:
                return self._query(store, database, request)
            case "POST", [cursor_id]:
                return self.cursors.next_batch(cursor_id, None)
            case "POST", [cursor_id, batch]:
                return self.cursors.next_batch(cursor_id, batch)
            case "DELETE", [cursor_id]:
                return self.cursors.close(cursor_id)
            case _:
                raise UnknownRequestError(f"{request.method} {request.path}")

    def _query(self, store: Store, database: Database, request: Request) -> Answer:
        body = request.json_object()
        wanted: dict[str, Any] = {**body, **(body.get("options") or {})}
        refuse_others(
            "query option",
            {name: value for name, value in wanted.items() if value not in _OFF},
            _CURSOR_OPTIONS,
        )
        if wanted.get("cache"):
            raise UnknownRequestError("the query option 'cache'")
        size = wanted.get("batchSize") or BATCH_SIZE
        binds = wanted.get("bindVars") or {}
        rows = run_query(wanted.get("query", ""), binds, database, store.now_ms)
        cursor = Cursor(
            id=str(self._store.next_number()),
            coordinator=request.coordinator,
            rows=rows,
            batch_size=size,
            count=len(rows) if wanted.get("count") else None,
            repeatable=bool(wanted.get("allowRetry")),
        )
        return self.cursors.start(cursor)


def _refuse_unknown_headers(request: Request) -> None:
    unknown = next((name for name in _UNKNOWN_HEADERS if name in request.headers), None)
    if unknown is not None or request.headers.get("x-arango-allow-dirty-read") == "true":
        raise UnknownRequestError(f"the header {unknown or 'x-arango-allow-dirty-read'}")
