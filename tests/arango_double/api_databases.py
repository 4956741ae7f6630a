"""
/_api/database
"""

import re
from typing import Any

from tests.arango_double.access import Access
from tests.arango_double.api_collections import create_collection
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.requests_in import Answer, Request, refuse_others, result
from tests.arango_double.store import Database, Store

_LEGAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def answer_databases(store: Store, access: Access, request: Request) -> Answer:
    """
    One request about databases. What changes them may only be asked of `_system`.
    """
    request.allow_query()
    rest = request.segments[2:]
    if request.method == "GET" and rest == ["current"]:
        return result(200, {"result": _view(store[request.database])})
    if request.method == "GET" and rest == ["user"]:
        mine = [name for name in store.databases if access.may(request, name, "ro")]
        return result(200, {"result": mine})
    if request.database != "_system":
        raise ArangoError(403, 1230, "operation only allowed in system database")
    match request.method, rest:
        case "GET", []:
            return result(200, {"result": sorted(store.databases)})
        case "POST", []:
            _create(store, access, request.json_object())
            return result(201, {"result": True})
        case "DELETE", [name]:
            del store.databases[store[name].name]
            return result(200, {"result": True})
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def create_database(store: Store, name: str, options: dict[str, Any]) -> None:
    """
    A new database.

    Raises:
        ArangoError: 409/1207, there is one.
    """
    refuse_others("database option", options, ("replicationFactor", "writeConcern", "sharding"))
    if name in store.databases:
        raise ArangoError(409, 1207, f"duplicate database name '{name}'")
    defaults = {"replicationFactor": 1, "writeConcern": 1, "sharding": ""}
    database = Database(name, store.next_number(), {**defaults, **options})
    store.databases[name] = database
    create_collection(store, database, {"name": "_graphs", "isSystem": True})


def _create(store: Store, access: Access, wanted: dict[str, Any]) -> None:
    refuse_others("part of a new database", wanted, ("name", "options", "users"))
    name = wanted.get("name")
    if not isinstance(name, str) or _LEGAL_NAME.fullmatch(name) is None:
        raise ArangoError(400, 1229, "database name invalid")
    create_database(store, name, wanted.get("options", {}))
    for user in wanted.get("users", []):
        access.add_user(user["username"], user.get("passwd", ""), {name: "rw"})


def _view(database: Database) -> dict[str, Any]:
    return {
        "name": database.name,
        "id": database.id,
        "path": "",
        "isSystem": database.name == "_system",
        **database.options,
    }
