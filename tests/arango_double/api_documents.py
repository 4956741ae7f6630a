"""`/_api/document`"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from tests.arango_double.collection import Collection
from tests.arango_double.document_writer import DocumentWriter, WriteOptions, legal_key
from tests.arango_double.errors import (
    ArangoError,
    UnknownRequestError,
    document_not_found,
    revision_conflict,
)
from tests.arango_double.http_messages import Request, Response
from tests.arango_double.indexes import Document
from tests.arango_double.store import Database, Store

_PARAMETERS = {
    "POST": (
        *("returnNew", "waitForSync", "versionAttribute", "overwriteMode"),
        *("keepNull", "mergeObjects"),
    ),
    "PUT": ("returnNew", "waitForSync", "versionAttribute", "ignoreRevs"),
    "PATCH": ("returnNew", "versionAttribute", "keepNull", "mergeObjects", "ignoreRevs"),
    "DELETE": ("waitForSync", "ignoreRevs"),
}
_OFF_PARAMETERS = ("returnOld", "silent", "overwrite")
# Whether the disk was waited for, also when some of several documents failed.
_SYNCED = {"POST": 201, "PUT": 201, "PATCH": 201, "DELETE": 200}
_NOT_SYNCED = 202


def answer_documents(store: Store, database: Database, request: Request) -> Response:
    match request.method, request.segments[2:]:
        case "GET", [name, key]:
            return _read(database[name], key, request)
        case "PUT", [name] if request.flag("onlyget"):
            return _read_many(database[name], request)
        case "POST", [name]:
            return _insert(_writer(store, database, name, request), request)
        case "PATCH", [name]:
            return _update_many(_writer(store, database, name, request), request)
        case "DELETE", [name]:
            return _remove_many(_writer(store, database, name, request), request)
        case (("PUT" | "PATCH" | "DELETE"), [name, key]):
            return _change(_writer(store, database, name, request), key, request)
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def _writer(store: Store, database: Database, name: str, request: Request) -> DocumentWriter:
    collection = database[name]
    request.allow_parameters(*_PARAMETERS[request.method], off=_OFF_PARAMETERS)
    options = WriteOptions(
        return_new=request.flag("returnNew"),
        overwrite_mode=request.parameters.get("overwriteMode", "conflict"),
        version_attribute=request.parameters.get("versionAttribute"),
        wait_for_sync=collection.wait_for_sync or request.flag("waitForSync"),
        merges_objects=request.flag("mergeObjects", default=True),
        keeps_null=request.flag("keepNull", default=True),
    )
    return DocumentWriter(store, database, collection, options)


def _insert(writer: DocumentWriter, request: Request) -> Response:
    body = request.json()
    if not isinstance(body, list):
        return _response(writer, request, writer.insert(body))
    elements, headers = _each(body, writer.insert)
    return Response(_status(writer, request), elements, headers)


def _update_many(writer: DocumentWriter, request: Request) -> Response:
    body = request.json()
    if not isinstance(body, list):
        raise UnknownRequestError("a multi-update whose body is not an array")
    elements, headers = _each(body, lambda each: writer.update(_plain_key(each["_key"]), each))
    return Response(_status(writer, request), elements, headers)


def _remove_many(writer: DocumentWriter, request: Request) -> Response:
    keys = request.json()
    if not isinstance(keys, list):
        raise UnknownRequestError("a multi-delete whose body is not an array")
    elements, headers = _each(keys, lambda key: writer.remove(_plain_key(key), None))
    removed = any("_rev" in each for each in elements)
    # Where nothing is written there is nothing to wait for.
    return Response(_status(writer, request) if removed else _NOT_SYNCED, elements, headers)


def _change(writer: DocumentWriter, key: str, request: Request) -> Response:
    body = request.json() if request.body else None
    revision = _expected_revision(request, body)
    match request.method:
        case "PUT":
            return _response(writer, request, writer.replace(key, body, revision))
        case "PATCH":
            return _response(writer, request, writer.update(key, body, revision))
        case _:
            return _response(writer, request, writer.remove(key, revision))


def _response(writer: DocumentWriter, request: Request, written: Document) -> Response:
    headers = {"etag": f'"{written["_rev"]}"'}
    if request.method != "DELETE":
        headers["location"] = f"/_db/{request.database}/_api/document/{written['_id']}"
    return Response(_status(writer, request), written, headers)


def _status(writer: DocumentWriter, request: Request) -> int:
    return _SYNCED[request.method] if writer.options.wait_for_sync else _NOT_SYNCED


def _expected_revision(request: Request, body: Any) -> str | None:
    header = request.headers.get("if-match")
    if header is not None:
        return header.strip('"')
    if request.flag("ignoreRevs", default=True) or not isinstance(body, dict):
        return None
    revision = body.get("_rev")
    return None if revision is None else str(revision)


def _read(collection: Collection, key: str, request: Request) -> Response:
    request.allow_parameters()
    stored = _stored(collection, key)
    expected = _expected_revision(request, None)
    if expected not in {None, stored["_rev"]}:
        raise revision_conflict(stored)
    return Response(200, stored, {"etag": f'"{stored["_rev"]}"'})


def _read_many(collection: Collection, request: Request) -> Response:
    request.allow_parameters("onlyget")
    keys = request.json()
    if not isinstance(keys, list):
        raise ArangoError(400, 400, "expecting a JSON array")
    elements, headers = _each(keys, lambda key: _stored(collection, _plain_key(key)))
    return Response(200, elements, headers)


def _plain_key(element: Any) -> str:
    if not isinstance(element, str) or "/" in element:
        raise UnknownRequestError("documents named by id, by a number or by a document")
    return legal_key(element)


def _stored(collection: Collection, key: str) -> Document:
    stored = collection.find(key)
    if stored is None:
        raise document_not_found()
    return stored


def _each(
    elements: list[Any], act: Callable[[Any], Document]
) -> tuple[list[Document], dict[str, str]]:
    """Results of *act*; an error becomes an element of the result and is counted in a header."""
    results: list[Document] = []
    errors: Counter[str] = Counter()
    for element in elements:
        try:
            results.append(act(element))
        except UnknownRequestError:
            raise
        except ArangoError as error:
            results.append(error.element())
            errors[str(error.number)] += 1
    headers = {"x-arango-error-codes": orjson.dumps(errors).decode()} if errors else {}
    return results, headers
