"""
The double of ArangoDB: databases, collections, indexes, access, and what it refuses to guess;
python-arango is the judge.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arango.exceptions import ArangoServerError, JWTAuthError, ServerConnectionError

from tests.arango_double import connected
from tests.contract.arango_parts import DATABASE, LOG, Rig, arango_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig() as rig:
        yield rig


def test_databases_come_and_go(rig: Rig) -> None:
    with connected(rig.double.urls[0]) as system:
        users = [{"username": "service", "password": "pass"}]
        options: dict[str, Any] = {
            "replication_factor": 3,
            "write_concern": 2,
            "sharding": "single",
        }
        assert system.create_database("other", users=users, **options)
        assert system.has_database("other")
        with pytest.raises(ArangoServerError) as caught:
            system.create_database("other")
        assert (caught.value.http_code, caught.value.error_code) == (409, 1207)
        with connected(rig.double.urls[0], "other", username="service", password="pass") as other:
            shown: Any = other.properties()
            assert shown["replication_factor"] == 3
            created: Any = other.create_collection("log", write_concern=1, replication_factor=1)
            properties = created.properties()
            assert (properties["replication_factor"], properties["write_concern"]) == (3, 1)
        assert system.delete_database("other")
        assert system.delete_database("other", ignore_missing=True) is False
    with rig.refused(403, 1230):
        rig.database.databases()
    assert rig.database.version() == "3.12.10"


def test_collections_come_and_go(rig: Rig) -> None:
    with rig.refused(409, 1207):
        rig.database.create_collection(LOG)
    assert rig.database.has_collection(LOG)
    assert [each["name"] for each in rig.database.collections()] == ["_graphs", LOG]

    assert rig.log.configure(sync=True)["sync"] is True
    assert rig.log.properties()["key_options"] == {
        "key_generator": "traditional",
        "user_keys": True,
    }
    rig.log.insert_many([{}, {}])
    assert rig.log.count() == 2
    assert rig.log.truncate()
    assert rig.log.count() == 0
    assert rig.database.delete_collection(LOG)
    with rig.refused(404, 1203):
        rig.log.properties()


def test_an_index_is_made_once(rig: Rig) -> None:
    index = {"type": "persistent", "name": "by_id", "fields": ["commit_id"], "unique": True}
    made = rig.log.add_index(index)
    assert (made["isNewlyCreated"], rig.status) == (True, 201)
    again = rig.log.add_index({**index, "inBackground": True})

    assert (again["isNewlyCreated"], again["id"], rig.status) == (False, made["id"], 200)
    with rig.refused(400, 1005):
        rig.log.add_index({**index, "unique": False})
    assert [each["name"] for each in rig.log.indexes()] == ["primary", "by_id"]
    assert rig.log.delete_index(made["id"])
    with rig.refused(404, 1212):
        rig.log.delete_index(made["id"])


def test_a_unique_index_over_duplicates_is_not_made(rig: Rig) -> None:
    rig.log.insert_many([{"x": 1}, {"x": 1.0}])

    with rig.refused(400, 1210):
        rig.log.add_index({"type": "persistent", "fields": ["x"], "unique": True})
    assert len(rig.log.indexes()) == 1


def test_a_unique_index_over_several_shards_needs_their_key(rig: Rig) -> None:
    sharded: Any = rig.database.create_collection("sharded", shard_count=2)

    with rig.refused(400, 1470):
        sharded.add_index({"type": "persistent", "fields": ["x"], "unique": True})
    sharded.add_index({"type": "persistent", "fields": ["x", "_key"], "unique": True})


def test_what_has_expired_is_removed_some_time_later(rig: Rig) -> None:
    rig.log.add_index({"type": "ttl", "fields": ["expires_at"], "expireAfter": 0})
    rig.log.insert_many([{"_key": "old", "expires_at": 1}, {"_key": "never"}])

    assert rig.log.has("old")
    assert rig.double.store.expire() == [f"{LOG}/old"]
    assert not rig.log.has("old")


def test_only_known_users_come_in_and_only_where_they_may(rig: Rig) -> None:
    url = rig.double.urls[0]
    rig.double.access.add_user("reader", "pass", {DATABASE: "ro"})

    for user, password, name in (
        ("reader", "wrong", DATABASE),
        ("nobody", "", DATABASE),
        ("reader", "pass", "_system"),
        ("reader", "pass", "nowhere"),
    ):
        with (
            connected(url, name, username=user, password=password) as database,
            pytest.raises(ArangoServerError) as caught,
        ):
            database.collections()
        assert (caught.value.http_code, caught.value.error_code) == (401, 11)
    with connected(url, DATABASE, username="reader", password="pass") as database:
        assert database.collection(LOG).count() == 0
        with pytest.raises(ArangoServerError) as caught:
            database.collection(LOG).insert({})
        assert (caught.value.http_code, caught.value.error_code) == (403, 11)
    with pytest.raises(ServerConnectionError), connected(url, password="wrong", verify=True):
        pass


def test_the_driver_renews_a_token_only_while_it_believes_in_it(rig: Rig) -> None:
    """
    Once the token's own time has passed, python-arango gives up without asking for another.
    """
    access, url = rig.double.access, rig.double.urls[0]
    with connected(url, DATABASE, auth_method="jwt") as database:
        connection: Any = database.conn
        access.expire_tokens()
        assert database.has_collection(LOG)
        assert rig.double.journal.count("POST", "/_open/auth") == 2

        access.expire_tokens()
        connection._token_exp = 0
        with pytest.raises(ArangoServerError) as caught:
            database.has_collection(LOG)
        assert (caught.value.http_code, caught.value.error_code) == (401, 11)
        assert rig.double.journal.count("POST", "/_open/auth") == 2
    with pytest.raises(JWTAuthError) as wrong, connected(url, password="x", auth_method="jwt"):
        pass
    assert (wrong.value.http_code, wrong.value.error_code) == (401, 401)


def test_a_token_lives_as_long_as_told(rig: Rig) -> None:
    rig.double.access.token_lifetime_s = 60
    with connected(rig.double.urls[0], DATABASE, auth_method="jwt") as database:
        rig.double.store.clock_offset_ms = 61_000
        connection: Any = database.conn
        connection._token_exp = 0
        with pytest.raises(ArangoServerError) as caught:
            database.version()
    assert (caught.value.http_code, caught.value.error_code) == (401, 11)


def test_what_the_double_does_not_know_it_says(rig: Rig) -> None:
    unknown: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (rig.database.begin_transaction, {"write": [LOG]}),
        (rig.log.import_bulk, {"documents": [{}]}),
        (rig.database.graphs, {}),
        (rig.log.statistics, {}),
        (rig.log.insert, {"document": {}, "refill_index_caches": True}),
        (rig.log.insert, {"document": {}, "overwrite_mode": "merge"}),
        (rig.log.add_index, {"data": {"type": "geo", "fields": ["x"]}}),
        (rig.database.create_collection, {"name": "x", "schema": {"rule": {}}}),
        (rig.database.create_collection, {"name": "x", "edge": True}),
        (rig.log.find, {"filters": {"x": 1}}),
    ]
    for call, arguments in unknown:
        if call == rig.log.insert:
            rig.log.insert({"_key": "a"}, overwrite_mode="ignore")
            arguments["document"] = {"_key": "a"}
        with rig.refused(501, 9):
            call(**arguments)
    dirty = {"bind_vars": {"@c": LOG}, "allow_dirty_read": True}
    with rig.refused(501, 9):
        rig.database.aql.execute("FOR d IN @@c RETURN d", **dirty)
    with rig.refused(501, 9):
        rig.database.aql.execute("RETURN DATE_NOW()", profile=True)

    assert len(rig.double.unknown) == len(unknown) + 2
    assert "POST /_api/transaction/begin" in rig.double.unknown[0]
