"""
/_api/document
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from tests.arango_double.collection import Collection
from tests.arango_double.documents import WriteOptions, Writer, key_in
from tests.arango_double.errors import (
    ArangoError,
    UnknownRequestError,
    document_not_found,
    revision_conflict,
)
from tests.arango_double.indexes import Document
from tests.arango_double.requests_in import Answer, Request
from tests.arango_double.store import Database, Store

_COMMON = ("returnNew", "returnOld", "silent", "waitForSync", "overwrite", "versionAttribute")
_PARAMETERS = {
    "POST": (*_COMMON, "overwriteMode", "keepNull", "mergeObjects"),
    "PUT": (*_COMMON, "ignoreRevs"),
    "PATCH": (*_COMMON, "ignoreRevs", "keepNull", "mergeObjects"),
    "DELETE": ("returnOld", "silent", "waitForSync", "ignoreRevs", "overwrite"),
}
_SUCCESS = {"POST": (201, 202), "PUT": (201, 202), "PATCH": (201, 202), "DELETE": (200, 202)}


def answer_documents(store: Store, database: Database, request: Request) -> Answer:
    """
    One request about one document or several of one collection.
    """
    match request.method, request.segments[2:]:
        case (("GET" | "HEAD"), [name, key]):
            return _read(database[name], key, request)
        case "PUT", [name] if request.flag("onlyget"):
            return _read_many(database[name], request)
        case (("POST" | "PUT" | "PATCH" | "DELETE"), [name, *keys]) if len(keys) < 2:
            return _Write(store, database, database[name], request).answer(*keys)
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


class _Write:
    def __init__(
        self, store: Store, database: Database, collection: Collection, request: Request
    ) -> None:
        request.allow_query(*_PARAMETERS[request.method])
        self._database = database
        self._collection = collection
        self._request = request
        self._options = _options(request)
        self._writer = Writer(store, database, collection, self._options)
        synced = collection.wait_for_sync or request.flag("waitForSync")
        # The status tells whether the disk was waited for, also with errors among the elements.
        self._status = _SUCCESS[request.method][0 if synced else 1]

    def answer(self, key: str | None = None) -> Answer:
        if key is not None and self._request.method == "POST":
            raise UnknownRequestError(f"POST {self._request.path}")
        body = self._request.json() if self._request.body else None
        if key is None and isinstance(body, list):
            return self._many(body)
        if key is None and self._request.method != "POST":
            raise ArangoError(400, 400, "expecting a JSON array")
        return self._one(key, body)

    def _one(self, key: str | None, body: Any) -> Answer:
        written = self._apply(key, body, self._wanted_revision(body))
        headers = {"etag": f'"{written["_rev"]}"'}
        if self._request.method != "DELETE":
            place = f"/_db/{self._database.name}/_api/document/{written['_id']}"
            headers["location"] = place
        return Answer(self._status, {} if self._request.flag("silent") else written, headers)

    def _many(self, elements: list[Any]) -> Answer:
        posted = self._request.method == "POST"

        def write(element: Any) -> Document:
            key = None if posted else key_in(element)
            return self._apply(key, element, self._revision_in(element))

        shown, headers = _each(elements, write)
        if self._request.flag("silent"):
            failed = [each for each in shown if "error" in each]
            return Answer(self._status, failed or {}, headers)
        return Answer(self._status, shown, headers)

    def _apply(self, key: str | None, body: Any, revision: str | None) -> Document:
        if key is None:
            return self._writer.insert(body)
        match self._request.method:
            case "PUT":
                return self._writer.replace(key, body, revision)
            case "PATCH":
                return self._writer.update(key, body, revision)
            case _:
                return self._writer.remove(key, revision)

    def _wanted_revision(self, body: Any) -> str | None:
        header = _unquoted(self._request.headers.get("if-match"))
        return header or self._revision_in(body)

    def _revision_in(self, body: Any) -> str | None:
        if self._options.ignore_revs or not isinstance(body, dict):
            return None
        revision = body.get("_rev")
        return None if revision is None else str(revision)


def _options(request: Request) -> WriteOptions:
    overwrite = "replace" if request.flag("overwrite") else "conflict"
    return WriteOptions(
        return_new=request.flag("returnNew"),
        return_old=request.flag("returnOld"),
        overwrite_mode=request.query.get("overwriteMode", overwrite),
        ignore_revs=request.flag("ignoreRevs", default=True),
        version_attribute=request.query.get("versionAttribute"),
        keep_null=request.flag("keepNull", default=True),
        merge_objects=request.flag("mergeObjects", default=True),
    )


def _read(collection: Collection, key: str, request: Request) -> Answer:
    request.allow_query()
    stored = collection.find(key)
    if stored is None:
        raise document_not_found()
    wanted = _unquoted(request.headers.get("if-match"))
    if wanted is not None and wanted != stored["_rev"]:
        raise revision_conflict(stored)
    headers = {"etag": f'"{stored["_rev"]}"'}
    if _unquoted(request.headers.get("if-none-match")) == stored["_rev"]:
        return Answer(304, None, headers)
    return Answer(200, stored, headers)


def _read_many(collection: Collection, request: Request) -> Answer:
    request.allow_query("onlyget", "ignoreRevs")
    elements = request.json()
    if not isinstance(elements, list):
        raise ArangoError(400, 400, "expecting a JSON array")
    checking = not request.flag("ignoreRevs", default=True)

    def read(element: Any) -> Document:
        stored = collection.find(key_in(element))
        if stored is None:
            raise document_not_found()
        wanted = element.get("_rev") if checking and isinstance(element, dict) else None
        if wanted not in {None, stored["_rev"]}:
            raise revision_conflict(stored)
        return stored

    shown, headers = _each(elements, read)
    return Answer(200, shown, headers)


def _each(
    elements: list[Any], act: Callable[[Any], Document]
) -> tuple[list[Document], dict[str, str]]:
    """
    What *act* makes of each; a failure is an element, and counted in the header.
    """
    shown: list[Document] = []
    failures: Counter[str] = Counter()
    for element in elements:
        try:
            shown.append(act(element))
        except UnknownRequestError:
            raise
        except ArangoError as error:
            shown.append(error.element())
            failures[str(error.number)] += 1
    if not failures:
        return shown, {}
    return shown, {"x-arango-error-codes": orjson.dumps(failures).decode()}


def _unquoted(revision: str | None) -> str | None:
    return None if revision is None else revision.strip('"')
