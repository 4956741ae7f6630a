"""Documents in the ArangoDB double behave as in the recorded exchanges of 3.12.10.

python-arango is the client.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from tests.contract.arango_double_rig import DATABASE, DOCUMENT, LOG, Rig, arango_rig
from tests.contract.python_arango import connected


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig(coordinators=2) as rig:
        yield rig
        assert not rig.double.unknown


def by_commit(rig: Rig) -> None:
    rig.log.add_index(
        {"type": "persistent", "name": "by_commit", "fields": ["commit_id"], "unique": True}
    )


def test_a_write_names_the_document_its_revision_and_its_place(rig: Rig) -> None:
    written = rig.log.insert({"_key": "a", "x": 1}, return_new=True)

    assert written["_id"] == f"{LOG}/a"
    assert written["new"] == {"_key": "a", "_id": f"{LOG}/a", "_rev": written["_rev"], "x": 1}
    assert rig.headers["etag"] == f'"{written["_rev"]}"'
    assert rig.headers["location"] == f"/_db/{DATABASE}{DOCUMENT}/a"
    assert rig.headers["server"] == "ArangoDB"


@pytest.mark.parametrize(("sync", "written", "removed"), [(False, 202, 202), (True, 201, 200)])
def test_the_status_tells_whether_the_disk_was_waited_for(
    rig: Rig, sync: bool, written: int, removed: int
) -> None:
    log: Any = rig.database.create_collection("synced", sync=True) if sync else rig.log
    seen = []
    for write in (log.insert, log.replace):
        write({"_key": "a", "x": 1})
        seen.append(rig.status)
    log.insert_many([{"_key": "a"}])
    seen.append(rig.status)
    log.delete("a")

    assert seen == [written] * 3
    assert rig.status == removed


def test_one_write_may_ask_for_the_disk(rig: Rig) -> None:
    rig.log.insert({"_key": "a"}, sync=True)

    assert rig.status == 201


def test_a_key_is_taken_once(rig: Rig) -> None:
    rig.log.insert({"_key": "a", "x": 1})

    with rig.refused(409, 1210):
        rig.log.insert({"_key": "a", "x": 2})

    assert "conflicting key: a" in rig.body["errorMessage"]
    assert rig.log.get("a")["x"] == 1


def test_a_unique_index_refuses_insert_and_replace(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert_many([{"_key": "a", "commit_id": "one"}, {"_key": "b", "commit_id": "two"}])

    with rig.refused(409, 1210):
        rig.log.replace({"_key": "b", "commit_id": "one"})
    with rig.refused(409, 1210):
        rig.log.insert({"_key": "c", "commit_id": "one"})

    assert "in index by_commit of type persistent over 'commit_id'" in rig.body["errorMessage"]
    assert "conflicting key: a" in rig.body["errorMessage"]
    rig.log.replace({"_key": "a", "commit_id": "three"})
    rig.log.insert({"_key": "c", "commit_id": "one"})


def test_a_missing_value_is_a_value_of_a_unique_index(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert({"_key": "a"})

    with rig.refused(409, 1210):
        rig.log.insert({"_key": "b"})


def test_a_unique_index_over_an_array_takes_each_element(rig: Rig) -> None:
    rig.log.add_index({"type": "persistent", "fields": ["streams[*]", "seq"], "unique": True})
    rig.log.insert({"_key": "a", "streams": ["x", "x", "y"], "seq": 1})

    with rig.refused(409, 1210):
        rig.log.insert({"_key": "b", "streams": ["z", "y"], "seq": 1})
    rig.log.insert({"_key": "c", "streams": ["y"], "seq": 2})


@pytest.mark.parametrize("key", ["a b", "ä", "a/b", "", "k" * 255, 7])
def test_an_illegal_key_is_refused(rig: Rig, key: Any) -> None:
    with rig.refused(400, 1221):
        rig.database.collection(LOG).insert({"_key": key})


def test_a_body_that_is_no_json_is_refused(rig: Rig) -> None:
    with rig.refused(400, 600):
        rig.log.insert('{"_key": "a"')


def test_a_missing_document_collection_or_database_has_its_own_number(rig: Rig) -> None:
    assert rig.log.get("none") is None
    assert (rig.status, rig.body["errorNum"]) == (404, 1202)
    for write in (rig.log.replace, rig.log.delete):
        with rig.refused(404, 1202):
            write({"_key": "none"})
    with rig.refused(404, 1203):
        rig.database.collection("nowhere").insert({})
    with (
        connected(rig.double.urls[0], "nowhere") as database,
        pytest.raises(ArangoServerError) as e,
    ):
        database.collection(LOG).get("a")
    assert (e.value.http_code, e.value.error_code) == (404, 1228)


def test_an_old_revision_is_refused_and_the_stored_one_shown(rig: Rig) -> None:
    old = rig.log.insert({"_key": "a", "x": 1})
    new = rig.log.replace({"_key": "a", "x": 2})
    stored = {name: new[name] for name in ("_id", "_key", "_rev")}

    for write in (rig.log.replace, rig.log.delete):
        with rig.refused(412, 1200):
            write({"_key": "a", "_rev": old["_rev"]})
        assert rig.body.items() >= stored.items()
        assert rig.headers["etag"] == f'"{new["_rev"]}"'
    with rig.refused(412, 1200):
        rig.log.get("a", rev=old["_rev"])


def test_several_documents_fail_one_by_one(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})

    results = rig.log.insert_many(
        [{"_key": "b"}, {"_key": "a"}, {"_key": "a b"}, {"_key": "c"}, {"_key": "b"}]
    )

    assert [getattr(each, "error_code", None) for each in results] == [None, 1210, 1221, None, 1210]
    assert rig.headers["x-arango-error-codes"] == '{"1210":2,"1221":1}'
    assert rig.status == 202
    assert rig.body[1].keys() == {"error", "errorNum", "errorMessage"}
    assert len(rig.stored()) == 3


def test_several_documents_are_read_at_once(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})

    rig.log.get_many(["none", "a", "a"])

    assert [each.get("_key") for each in rig.body] == [None, "a", "a"]
    assert [each.get("errorNum") for each in rig.body] == [1202, None, None]
    assert (rig.status, rig.headers["x-arango-error-codes"]) == (200, '{"1202":1}')


def test_ignore_returns_the_stored_identity_and_nothing_new(rig: Rig) -> None:
    first = rig.log.insert({"_key": "a", "x": 1}, overwrite_mode="ignore", return_new=True)
    second = rig.log.insert({"_key": "a", "x": 2}, overwrite_mode="ignore", return_new=True)

    assert first["new"]["x"] == 1
    assert second == {name: first[name] for name in ("_id", "_key", "_rev")}
    assert rig.log.get("a")["x"] == 1


def test_overwriting_replaces(rig: Rig) -> None:
    first = rig.log.insert({"_key": "a", "x": 1})
    replaced = rig.log.insert({"_key": "a", "y": 1}, overwrite_mode="replace", return_new=True)

    assert replaced["_old_rev"] == first["_rev"]
    assert replaced["new"] == rig.log.get("a")
    assert "x" not in rig.log.get("a")


def test_a_version_that_is_not_newer_changes_nothing_and_succeeds(rig: Rig) -> None:
    log = rig.log
    first = log.insert({"_key": "a", "seq": 5, "x": 1})

    def overwrite(seq: int) -> Any:
        return log.insert(
            {"_key": "a", "seq": seq, "x": seq}, overwrite_mode="replace", version_attribute="seq"
        )

    same = log.replace({"_key": "a", "seq": 5, "x": 9}, version_attribute="seq")
    assert (same["_rev"], same["_old_rev"]) == (first["_rev"], first["_rev"])
    assert overwrite(4)["_rev"] == first["_rev"]
    assert log.get("a")["x"] == 1
    assert overwrite(6)["_rev"] != first["_rev"]
    log.replace({"_key": "a", "x": 2}, version_attribute="seq")
    assert "seq" not in log.get("a")


def test_a_locked_key_refuses_every_write(rig: Rig) -> None:
    written = rig.log.insert({"_key": "a"})

    with rig.double.key_locked(DATABASE, LOG, "a"):
        for write in (rig.log.insert, rig.log.replace, rig.log.delete):
            with rig.refused(409, 1200):
                write({"_key": "a"})
            assert rig.body["_rev"] == written["_rev"]
        rig.log.insert({"_key": "b"})
    rig.log.replace({"_key": "a"})


@pytest.mark.parametrize(("way", "code"), [("insert", 1210), ("replace", 1200)])
def test_the_first_writer_wins_across_coordinators(rig: Rig, way: str, code: int) -> None:
    revision = "" if way == "insert" else rig.log.insert({"_key": "a"})["_rev"]

    def write(number: int) -> int:
        with connected(rig.double.urls[number % 2], DATABASE) as database:
            document = {"_key": "a", "_rev": revision, "number": number}
            try:
                getattr(database.collection(LOG), way)(document)
            except ArangoServerError as error:
                return int(error.error_code or 0)
            return 0

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(write, range(16)))

    assert sorted(outcomes) == [0, *[code] * 15]
    assert rig.log.get("a")["number"] == outcomes.index(0)
    assert rig.double.requests.count(path=DOCUMENT, coordinator=1) == 8


def test_documents_can_be_changed_without_the_api(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert_many([{"_key": "a", "commit_id": "one"}, {"_key": "b", "commit_id": "two"}])
    before = rig.log.get("a")
    stored = rig.double.documents(DATABASE, LOG)

    stored.delete("b")
    stored.put("a", {"commit_id": "two", "amount": "1.00"})
    assert rig.log.get("a") == {**before, "commit_id": "two", "amount": "1.00"}
    with rig.refused(409, 1210):
        rig.log.insert({"_key": "c", "commit_id": "two"})
    stored.delete("a")
    stored.put("z", {"commit_id": "one"})
    assert [each["_key"] for each in stored.all()] == ["z"]


@pytest.mark.parametrize(("keys", "status"), [(["a", "none"], 200), (["none"], 202), ([], 202)])
def test_a_multi_delete_that_writes_nothing_waits_for_nothing(
    rig: Rig, keys: list[str], status: int
) -> None:
    rig.log.insert({"_key": "a"})

    rig.log.delete_many(keys, sync=True)

    assert rig.status == status
    assert [each.get("errorNum") for each in rig.body] == [
        None if key == "a" else 1202 for key in keys
    ]


def test_an_insert_that_updates_keeps_other_attributes(rig: Rig) -> None:
    """A version that is not newer changes nothing."""
    rig.log.insert({"_key": "a", "v": 1, "x": {"old": 1}, "mark": 7})
    options = {"overwrite_mode": "update", "keep_none": True, "merge": False}

    first = {"_key": "a", "v": 2, "x": {"new": None}}
    rig.log.insert(first, version_attribute="v", **options)
    newer = rig.log.get("a")
    rig.log.insert({"_key": "a", "v": 2, "x": 3}, version_attribute="v", **options)

    assert rig.log.get("a") == newer
    assert (newer["v"], newer["x"], newer["mark"]) == (2, {"new": None}, 7)


def test_several_documents_are_updated_at_once(rig: Rig) -> None:
    """A document without the version is updated; one that does not exist is an error of its own."""
    rig.log.insert_many([{"_key": "a", "v": 5, "x": 1}, {"_key": "b", "x": 1}])

    rig.log.update_many(
        [{"_key": "a", "v": 4}, {"_key": "none", "v": 4}, {"_key": "b", "v": 4}],
        version_attribute="v",
        merge=False,
    )

    assert [each.get("errorNum") for each in rig.body] == [None, 1202, None]
    assert (rig.status, rig.headers["x-arango-error-codes"]) == (202, '{"1202":1}')
    assert [(rig.log.get(key)["v"], rig.log.get(key)["x"]) for key in "ab"] == [(5, 1), (4, 1)]


def test_a_schema_refuses_one_of_several_documents(rig: Rig) -> None:
    rig.double.store.refused_keys.add((DATABASE, LOG, "b"))

    results = rig.log.insert_many([{"_key": "a"}, {"_key": "b"}, {"_key": "c"}])

    assert [getattr(each, "error_code", None) for each in results] == [None, 1620, None]
    with rig.refused(400, 1620):
        rig.log.insert({"_key": "b"})
    assert rig.stored() == ["a", "c"]
