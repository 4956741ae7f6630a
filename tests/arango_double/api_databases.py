"""`/_api/database`"""

import re
from typing import Any

from tests.arango_double.api_collections import create_collection
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.http_messages import Request, Response, object_response, refuse_unknown
from tests.arango_double.store import Database, Store

_LEGAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def answer_databases(store: Store, database: Database, request: Request) -> Response:
    request.allow_parameters()
    match request.method, request.segments[2:]:
        case "GET", ["current"]:
            return object_response(200, {"result": _view(database)})
        case "POST", [] if database.name != "_system":
            raise ArangoError(403, 1230, "operation only allowed in system database")
        case "POST", []:
            _create(store, request.json_object())
            return object_response(201, {"result": True})
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def create_database(store: Store, name: str, options: dict[str, Any]) -> None:
    """Raises: ArangoError: 409/1207, the database exists."""
    refuse_unknown("database option", options, ("replicationFactor", "writeConcern", "sharding"))
    if name in store.databases:
        raise ArangoError(409, 1207, f"duplicate database name '{name}'")
    defaults = {"replicationFactor": 1, "writeConcern": 1, "sharding": ""}
    database = Database(name, store.next_number(), {**defaults, **options})
    store.databases[name] = database
    create_collection(store, database, {"name": "_graphs", "isSystem": True})


def _create(store: Store, body: dict[str, Any]) -> None:
    refuse_unknown("property of a new database", body, ("name", "options"))
    name = body.get("name")
    if not isinstance(name, str) or _LEGAL_NAME.fullmatch(name) is None:
        raise ArangoError(400, 1229, "database name invalid")
    create_database(store, name, body.get("options", {}))


def _view(database: Database) -> dict[str, Any]:
    return {
        "name": database.name,
        "id": database.id,
        "path": "",
        "isSystem": database.name == "_system",
        **database.options,
    }
