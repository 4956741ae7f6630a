"""
/_api/collection and /_api/index
"""

from typing import Any

from tests.arango_double.collection import Collection
from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.indexes import Index, primary_view, read_index
from tests.arango_double.requests_in import Answer, Request, refuse_others, result
from tests.arango_double.store import Database, Store

_BASIC = ("id", "name", "status", "type", "isSystem", "globallyUniqueId")
_CHANGEABLE = ("waitForSync", "writeConcern", "replicationFactor", "cacheEnabled")
_WANTED = (
    *("name", "type", "isSystem", "keyOptions", "numberOfShards", "shardKeys"),
    *("distributeShardsLike", *_CHANGEABLE),
)


def answer_collections(  # noqa: PLR0911  # one for each endpoint
    store: Store, database: Database, request: Request
) -> Answer:
    """
    One request about collections.
    """
    request.allow_query(
        *("excludeSystem", "waitForSync", "waitForSyncReplication", "enforceReplicationFactor"),
        *("isSystem", "compact"),
    )
    match request.method, request.segments[2:]:
        case "GET", []:
            return result(200, {"result": [_basic(each) for each in _listed(database, request)]})
        case "POST", []:
            return result(200, create_collection(store, database, request.json_object()))
        case "GET", [name]:
            return result(200, _basic(database[name]))
        case "GET", [name, "properties"]:
            return result(200, database[name].properties)
        case "PUT", [name, "properties"]:
            return result(200, _configure(database[name], request.json_object()))
        case "GET", [name, "count"]:
            found = database[name]
            return result(200, {**found.properties, "count": len(found)})
        case "PUT", [name, "truncate"]:
            database[name].clear()
            return result(200, _basic(database[name]))
        case "DELETE", [name]:
            gone = database[name]
            del database.collections[name]
            return result(200, {"id": gone.properties["id"]})
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def create_collection(store: Store, database: Database, wanted: dict[str, Any]) -> dict[str, Any]:
    """
    A new collection; its properties. In a OneShard database shards and copies are the database's.

    Raises:
        ArangoError: 409/1207, there is one.
    """
    refuse_others("collection property", wanted, _WANTED)
    name = wanted["name"]
    if name in database.collections:
        raise ArangoError(409, 1207, "duplicate name")
    if wanted.get("type", 2) != 2:
        raise UnknownRequestError(f"the collection type {wanted['type']}")
    number = str(store.next_number())
    options = database.options
    single = options["sharding"] == "single"
    copies = options["replicationFactor"]
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
        "replicationFactor": copies if single else wanted.get("replicationFactor", copies),
        "numberOfShards": 1 if single else wanted.get("numberOfShards", 1),
        "shardKeys": wanted.get("shardKeys", ["_key"]),
        "keyOptions": {
            "type": "traditional",
            "allowUserKeys": True,
            **wanted.get("keyOptions", {}),
        },
        "schema": None,
        "computedValues": None,
        "cacheEnabled": wanted.get("cacheEnabled", False),
        "syncByRevision": True,
    }
    database.collections[name] = Collection(properties)
    return properties


def answer_indexes(store: Store, database: Database, request: Request) -> Answer:
    """
    One request about indexes.
    """
    request.allow_query("collection", "withStats", "withHidden")
    match request.method, request.segments[2:]:
        case "GET", []:
            return result(200, _index_list(database[request.query["collection"]]))
        case "POST", []:
            collection = database[request.query["collection"]]
            return _create_index(store, collection, request.json_object())
        case "GET", [name, number]:
            return result(200, _index(database[name], number).view(name))
        case "DELETE", [name, number]:
            database[name].drop_index(_index(database[name], number))
            return result(200, {"id": f"{name}/{number}"})
        case _:
            raise UnknownRequestError(f"{request.method} {request.path}")


def _create_index(store: Store, collection: Collection, wanted: dict[str, Any]) -> Answer:
    index = read_index(wanted, str(store.next_number()))
    present = next((each for each in collection.indexes.values() if each.same_as(index)), None)
    if present is not None:
        return result(200, {**present.view(collection.name), "isNewlyCreated": False})
    if index.name in collection.indexes or index.name == "primary":
        raise ArangoError(400, 1005, f"duplicate value for index name '{index.name}'")
    shards, shard_keys = collection.properties["numberOfShards"], collection.properties["shardKeys"]
    if index.unique and shards > 1 and not set(shard_keys) <= set(index.fields):
        raise ArangoError(400, 1470, "shard key(s) must be part of a unique index")
    collection.add_index(index)
    return result(201, {**index.view(collection.name), "isNewlyCreated": True})


def _index_list(collection: Collection) -> dict[str, Any]:
    name = collection.name
    views = [primary_view(name), *(each.view(name) for each in collection.indexes.values())]
    return {"indexes": views, "identifiers": {view["id"]: view for view in views}}


def _index(collection: Collection, number: str) -> Index:
    found = next((each for each in collection.indexes.values() if each.id == number), None)
    if found is None:
        raise ArangoError(404, 1212, "index not found")
    return found


def _listed(database: Database, request: Request) -> list[Collection]:
    skipping = request.flag("excludeSystem")
    everything = database.collections.values()
    return [each for each in everything if not (skipping and each.properties["isSystem"])]


def _configure(collection: Collection, changes: dict[str, Any]) -> dict[str, Any]:
    refuse_others("changeable property", changes, _CHANGEABLE)
    collection.properties.update(changes)
    return collection.properties


def _basic(collection: Collection) -> dict[str, Any]:
    return {name: collection.properties[name] for name in _BASIC}
