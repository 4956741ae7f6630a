"""The ArangoDB double: databases, collections, indexes, access, and 501 for anything unknown.

python-arango is the client.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arango.exceptions import ArangoServerError, JWTAuthError

from tests.arango_double.queries import HEAD_COMMIT
from tests.contract.arango_double_rig import DATABASE, LOG, Rig, arango_rig
from tests.contract.python_arango import connected


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig() as rig:
        yield rig


def test_a_database_is_created_once(rig: Rig) -> None:
    options: dict[str, Any] = {"replication_factor": 3, "write_concern": 2, "sharding": "single"}
    with connected(rig.double.urls[0]) as system:
        assert system.create_database("other", **options)
        with pytest.raises(ArangoServerError) as caught:
            system.create_database("other")
        assert (caught.value.http_code, caught.value.error_code) == (409, 1207)
        with pytest.raises(ArangoServerError) as caught:
            system.create_database("9")
        assert (caught.value.http_code, caught.value.error_code) == (400, 1229)
    with connected(rig.double.urls[0], "other") as other:
        shown: Any = other.properties()
        assert shown["replication_factor"] == 3
        created: Any = other.create_collection("log", write_concern=1, replication_factor=1)
        properties = created.properties()
        assert (properties["replication_factor"], properties["write_concern"]) == (3, 1)
    with rig.refused(403, 1230):
        rig.database.create_database("another")


def test_a_collection_is_created_once_and_emptied(rig: Rig) -> None:
    with rig.refused(409, 1207):
        rig.database.create_collection(LOG)
    assert rig.log.properties()["key_options"] == {
        "key_generator": "traditional",
        "user_keys": True,
    }

    shown = {each["name"]: each["system"] for each in rig.database.collections()}
    assert shown == {"_graphs": True, LOG: False}
    rig.log.insert_many([{}, {}])
    assert len(rig.stored()) == 2
    assert rig.log.truncate()
    assert rig.stored() == []
    with rig.refused(404, 1203):
        rig.database.collection("nowhere").properties()


def test_an_index_is_created_once(rig: Rig) -> None:
    index = {"type": "persistent", "name": "by_id", "fields": ["commit_id"], "unique": True}
    created = rig.log.add_index(index)
    assert (created["isNewlyCreated"], rig.status) == (True, 201)
    again = rig.log.add_index({**index, "name": "other"})

    assert (again["isNewlyCreated"], again["id"], rig.status) == (False, created["id"], 200)
    with rig.refused(400, 1005):
        rig.log.add_index({**index, "unique": False})
    assert [each["name"] for each in rig.log.indexes()] == ["primary", "by_id"]


def test_a_unique_index_over_duplicates_is_refused(rig: Rig) -> None:
    rig.log.insert_many([{"x": 1}, {"x": 1.0}])

    with rig.refused(400, 1210):
        rig.log.add_index({"type": "persistent", "fields": ["x"], "unique": True})
    assert len(rig.log.indexes()) == 1


def test_a_unique_index_over_several_shards_needs_their_key(rig: Rig) -> None:
    sharded: Any = rig.database.create_collection("sharded", shard_count=2)

    with rig.refused(400, 1470):
        sharded.add_index({"type": "persistent", "fields": ["x"], "unique": True})
    sharded.add_index({"type": "persistent", "fields": ["x", "_key"], "unique": True})


def test_a_user_reads_and_writes_only_where_it_has_the_right(rig: Rig) -> None:
    url = rig.double.urls[0]
    rig.double.access.add_user("reader", "pass", {DATABASE: "ro"})

    for user, password, name in (
        ("reader", "wrong", DATABASE),
        ("stranger", "", DATABASE),
        ("reader", "pass", "_system"),
        ("reader", "pass", "nowhere"),
    ):
        with (
            connected(url, name, username=user, password=password) as database,
            pytest.raises(ArangoServerError) as caught,
        ):
            database.collection(LOG).get("a")
        assert (caught.value.http_code, caught.value.error_code) == (401, 11)
    with connected(url, DATABASE, username="reader", password="pass") as database:
        assert database.collection(LOG).get("a") is None
        with pytest.raises(ArangoServerError) as caught:
            database.collection(LOG).insert({})
        assert (caught.value.http_code, caught.value.error_code) == (403, 11)
        rig.double.access.add_user("reader", "changed", {})
        with pytest.raises(ArangoServerError) as caught:
            database.collection(LOG).get("a")
        assert (caught.value.http_code, caught.value.error_code) == (401, 11)


def test_anything_unknown_is_answered_with_501(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})
    ttl = {"type": "ttl", "fields": ["x"], "expireAfter": 0}
    unknown: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (rig.database.begin_transaction, {"write": [LOG]}),
        (rig.database.version, {}),
        (rig.log.import_bulk, {"documents": [{}]}),
        (rig.log.statistics, {}),
        (rig.log.count, {}),
        (rig.log.insert, {"document": {}, "refill_index_caches": True}),
        (rig.log.insert, {"document": {}, "silent": True}),
        (rig.log.insert, {"document": {"_key": "a"}, "overwrite_mode": "merge"}),
        (rig.log.get_many, {"documents": [f"{LOG}/a"]}),
        (rig.log.add_index, {"data": ttl}),
        (rig.log.add_index, {"data": {"type": "geo", "fields": ["x"]}}),
        (rig.log.add_index, {"data": {"type": "persistent", "fields": ["x"], "sparse": True}}),
        (rig.database.create_collection, {"name": "x", "schema": {"rule": {}}}),
        (rig.database.create_collection, {"name": "x", "edge": True}),
        (rig.database.aql.execute, {"query": HEAD_COMMIT, "profile": True}),
        (rig.database.aql.execute, {"query": HEAD_COMMIT, "count": True}),
        (rig.database.aql.execute, {"query": HEAD_COMMIT, "allow_dirty_read": True}),
    ]
    for call, arguments in unknown:
        with rig.refused(501, 9):
            call(**arguments)
    with (
        pytest.raises(JWTAuthError) as caught,
        connected(rig.double.urls[0], auth_method="jwt"),
    ):
        pass
    assert caught.value.http_code == 501

    assert len(rig.double.unknown) == len(unknown) + 1
    assert "POST /_api/transaction/begin" in rig.double.unknown[0]


def test_what_is_not_known_of_keys_and_indexes_is_answered_with_501(rig: Rig) -> None:
    index = {"type": "persistent", "fields": ["x"], "unique": True}
    counted: Any = rig.database.create_collection("counted", key_generator="autoincrement")
    with rig.refused(501, 9):
        counted.insert({})
    for unknown in ({"name": "primary"}, {"fields": ["_id"]}, {"fields": ["x.y"]}):
        with rig.refused(501, 9):
            rig.log.add_index({**index, **unknown})
    with rig.refused(501, 9):
        rig.log.get_many([7])
