"""`/_api/collection` and `/_api/index`"""

from typing import Any

from tests.arango_double.collection import Collection
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.http_messages import Request, Response, object_response, refuse_unknown
from tests.arango_double.indexes import parse_index, primary_view
from tests.arango_double.store import Database, Store

_SUMMARY = ("id", "name", "status", "type", "isSystem", "globallyUniqueId")
_CREATE_OPTIONS = (
    *("name", "type", "isSystem", "keyOptions", "numberOfShards"),
    *("waitForSync", "writeConcern", "replicationFactor"),
)


def answer_collections(store: Store, database: Database, request: Request) -> Response:
    match request.method, request.segments[2:]:
        case "GET", []:
            return object_response(200, {"result": _list_collections(database, request)})
        case _:
            request.allow_parameters()
    match request.method, request.segments[2:]:
        case "POST", []:
            return object_response(200, create_collection(store, database, request.json_object()))
        case "GET", [name, "properties"]:
            return object_response(200, database[name].properties)
        case "PUT", [name, "truncate"]:
            database[name].clear()
            return object_response(200, _summary(database[name]))
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def _list_collections(database: Database, request: Request) -> list[dict[str, Any]]:
    request.allow_parameters("excludeSystem")
    summaries = map(_summary, database.collections.values())
    without_system = request.flag("excludeSystem")
    return [each for each in summaries if not (without_system and each["isSystem"])]


def _summary(collection: Collection) -> dict[str, Any]:
    return {each: collection.properties[each] for each in _SUMMARY}


def create_collection(store: Store, database: Database, wanted: dict[str, Any]) -> dict[str, Any]:
    """Add a collection and return its properties.

    In a OneShard database the database decides the number of shards and replicas.

    Raises:
        ArangoError: 409/1207, the collection exists.
    """
    refuse_unknown("collection property", wanted, _CREATE_OPTIONS)
    name = wanted["name"]
    if name in database.collections:
        raise ArangoError(409, 1207, "duplicate name")
    if wanted.get("type", 2) != 2:
        raise UnknownRequestError(f"the collection type {wanted['type']}")
    number = str(store.next_number())
    options = database.options
    single = options["sharding"] == "single"
    replicas = options["replicationFactor"]
    properties = {
        "id": number,
        "name": name,
        "type": 2,
        "status": 3,
        "statusString": "loaded",
        "isSystem": wanted.get("isSystem", False),
        "globallyUniqueId": f"c{number}/",
        "waitForSync": wanted.get("waitForSync", False),
        "writeConcern": wanted.get("writeConcern", options["writeConcern"]),
        "replicationFactor": replicas if single else wanted.get("replicationFactor", replicas),
        "numberOfShards": 1 if single else wanted.get("numberOfShards", 1),
        "shardKeys": ["_key"],
        "keyOptions": {
            "type": "traditional",
            "allowUserKeys": True,
            **wanted.get("keyOptions", {}),
        },
        "schema": None,
        "computedValues": None,
        "cacheEnabled": False,
        "syncByRevision": True,
    }
    database.collections[name] = Collection(properties)
    return properties


def answer_indexes(store: Store, database: Database, request: Request) -> Response:
    request.allow_parameters("collection")
    if request.segments[2:] or request.method not in {"GET", "POST"}:
        raise UnknownRequestError(f"{request.method} {request.path}")
    collection = database[request.parameters["collection"]]
    if request.method == "GET":
        return object_response(200, _index_list(collection))
    return _create_index(store, collection, request.json_object())


def _create_index(store: Store, collection: Collection, wanted: dict[str, Any]) -> Response:
    index = parse_index(wanted, str(store.next_number()))
    present = next((each for each in collection.indexes.values() if each.same_as(index)), None)
    if present is not None:
        return object_response(200, {**present.view(collection.name), "isNewlyCreated": False})
    if index.name == "primary":
        raise UnknownRequestError("an index that is named like the primary one")
    if index.name in collection.indexes:
        raise ArangoError(400, 1005, f"duplicate value for index name '{index.name}'")
    shards, shard_keys = collection.properties["numberOfShards"], collection.properties["shardKeys"]
    if index.unique and shards > 1 and not set(shard_keys) <= set(index.fields):
        raise ArangoError(400, 1470, "shard key(s) must be part of a unique index")
    collection.add_index(index)
    return object_response(201, {**index.view(collection.name), "isNewlyCreated": True})


def _index_list(collection: Collection) -> dict[str, Any]:
    name = collection.name
    views = [primary_view(name), *(each.view(name) for each in collection.indexes.values())]
    return {"indexes": views, "identifiers": {view["id"]: view for view in views}}
