"""
The double of ArangoDB stores documents as the recorded exchanges of 3.12.10 say; python-arango is
the judge.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from tests.arango_double import connected
from tests.contract.arango_parts import DATABASE, DOCUMENT, LOG, Rig, arango_rig


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
    assert rig.log.insert({"_key": "b"}, silent=True) is True
    assert rig.body == {}


@pytest.mark.parametrize(("sync", "written", "removed"), [(False, 202, 202), (True, 201, 200)])
def test_the_status_tells_whether_the_disk_was_waited_for(
    rig: Rig, sync: bool, written: int, removed: int
) -> None:
    log: Any = rig.database.create_collection("synced", sync=True) if sync else rig.log
    seen = []
    for write in (log.insert, log.update, log.replace):
        write({"_key": "a", "x": 1})
        seen.append(rig.status)
    log.insert_many([{"_key": "a"}])
    seen.append(rig.status)
    log.delete("a")

    assert seen == [written] * 4
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


def test_a_unique_index_refuses_insert_update_and_replace(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert_many([{"_key": "a", "commit_id": "one"}, {"_key": "b", "commit_id": "two"}])

    for write in (rig.log.update, rig.log.replace):
        with rig.refused(409, 1210):
            write({"_key": "b", "commit_id": "one"})
    with rig.refused(409, 1210):
        rig.log.insert({"_key": "c", "commit_id": "one"})

    assert "in index by_commit of type persistent over 'commit_id'" in rig.body["errorMessage"]
    assert "conflicting key: a" in rig.body["errorMessage"]
    rig.log.update({"_key": "a", "commit_id": "three"})
    rig.log.insert({"_key": "c", "commit_id": "one"})


def test_without_sparse_a_missing_value_is_a_value(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert({"_key": "a"})

    with rig.refused(409, 1210):
        rig.log.insert({"_key": "b"})


def test_a_sparse_unique_index_leaves_out_what_lacks_the_value(rig: Rig) -> None:
    index = {"type": "persistent", "fields": ["commit_id"], "unique": True, "sparse": True}
    rig.log.add_index(index)

    rig.log.insert({"_key": "a"})
    rig.log.insert({"_key": "b", "commit_id": None})

    assert rig.log.count() == 2


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


def test_what_is_not_there_has_its_own_number(rig: Rig) -> None:
    assert rig.log.get("none") is None
    assert (rig.status, rig.body["errorNum"]) == (404, 1202)
    for write in (rig.log.update, rig.log.replace, rig.log.delete):
        with rig.refused(404, 1202):
            write({"_key": "none"})
    with rig.refused(404, 1203):
        rig.database.collection("nowhere").insert({})
    with (
        connected(rig.double.urls[0], "nowhere") as database,
        pytest.raises(ArangoServerError) as e,
    ):
        database.collections()
    assert (e.value.http_code, e.value.error_code) == (404, 1228)


def test_an_old_revision_is_refused_with_the_stored_one(rig: Rig) -> None:
    old = rig.log.insert({"_key": "a", "x": 1})
    new = rig.log.update({"_key": "a", "x": 2})
    stored = {name: new[name] for name in ("_id", "_key", "_rev")}

    for write in (rig.log.update, rig.log.replace, rig.log.delete):
        with rig.refused(412, 1200):
            write({"_key": "a", "_rev": old["_rev"]})
        assert rig.body.items() >= stored.items()
        assert rig.headers["etag"] == f'"{new["_rev"]}"'
    with rig.refused(412, 1200):
        rig.log.get("a", rev=old["_rev"])

    rig.log.replace({"_key": "a", "_rev": old["_rev"], "x": 3}, check_rev=False)
    assert rig.log.get("a")["x"] == 3


def test_head_has_no_body_so_the_driver_takes_the_status_for_the_number(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})

    assert rig.log.has("a")
    assert rig.headers["etag"]
    assert not rig.log.has("none")
    with pytest.raises(ArangoServerError) as caught:
        rig.log.has("a", rev="_other")
    assert (caught.value.http_code, caught.value.error_code) == (412, 412)


def test_what_the_client_has_is_not_sent_again(rig: Rig) -> None:
    written = rig.log.insert({"_key": "a"})
    etag = {"if-none-match": f'"{written["_rev"]}"'}

    session = rig.http.create_session("")
    url = f"{rig.double.urls[0]}/_db/{DATABASE}{DOCUMENT}/a"
    answer = rig.http.send_request(session, "get", url, headers=etag, auth=("root", ""))
    session.close()

    assert (answer.status_code, answer.raw_body) == (304, "")


def test_several_documents_fail_one_by_one(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})

    results = rig.log.insert_many(
        [{"_key": "b"}, {"_key": "a"}, {"_key": "a b"}, {"_key": "c"}, {"_key": "b"}]
    )

    assert [getattr(each, "error_code", None) for each in results] == [None, 1210, 1221, None, 1210]
    assert rig.headers["x-arango-error-codes"] == '{"1210":2,"1221":1}'
    assert rig.status == 202
    assert rig.body[1].keys() == {"error", "errorNum", "errorMessage"}
    assert rig.log.count() == 3


def test_several_changes_check_each_revision(rig: Rig) -> None:
    old = rig.log.insert({"_key": "a", "x": 1})
    rig.log.insert({"_key": "b", "x": 1})
    rig.log.update({"_key": "a", "x": 2})

    for write in (rig.log.update_many, rig.log.replace_many, rig.log.delete_many):
        first, second, third = write(
            [{"_key": "a", "_rev": old["_rev"]}, {"_key": "none"}, {"_key": "b", "y": 1}]
        )
        assert (first.error_code, second.error_code) == (1200, 1202)
        assert third["_key"] == "b"
    assert rig.headers["x-arango-error-codes"] == '{"1200":1,"1202":1}'
    assert rig.double.documents(DATABASE, LOG).keys() == ["a"]


def test_get_many_of_the_driver_loses_what_the_server_says(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})

    found = rig.log.get_many(["none", f"{LOG}/a", {"_key": "a"}])

    assert [each["_key"] for each in found] == ["a", "a"]
    assert [each.get("errorNum") for each in rig.body] == [1202, None, None]
    assert (rig.status, rig.headers["x-arango-error-codes"]) == (200, '{"1202":1}')


def test_ignore_says_who_is_there_and_shows_nothing_new(rig: Rig) -> None:
    first = rig.log.insert({"_key": "a", "x": 1}, overwrite_mode="ignore", return_new=True)
    second = rig.log.insert({"_key": "a", "x": 2}, overwrite_mode="ignore", return_new=True)

    assert first["new"]["x"] == 1
    assert second == {name: first[name] for name in ("_id", "_key", "_rev")}
    assert rig.log.get("a")["x"] == 1


def test_overwriting_replaces_or_updates(rig: Rig) -> None:
    first = rig.log.insert({"_key": "a", "x": 1, "deep": {"p": 1}})
    updated = rig.log.insert(
        {"_key": "a", "deep": {"q": 2}}, overwrite_mode="update", keep_none=True, merge=True
    )
    content = {name: value for name, value in rig.log.get("a").items() if name[0] != "_"}
    replaced = rig.log.insert({"_key": "a", "y": 1}, overwrite_mode="replace", return_old=True)

    assert content == {"x": 1, "deep": {"p": 1, "q": 2}}
    assert (updated["_old_rev"], replaced["_old_rev"]) == (first["_rev"], updated["_rev"])
    assert replaced["old"]["x"] == 1
    assert "x" not in rig.log.get("a")


def test_an_update_merges_and_keeps_null_as_told(rig: Rig) -> None:
    rig.log.insert({"_key": "a", "x": 1, "y": 2, "deep": {"p": 1}})

    rig.log.update({"_key": "a", "x": None})
    rig.log.update({"_key": "a", "y": None, "deep": {"q": 2}}, keep_none=False, merge=False)

    stored = rig.log.get("a")
    assert (stored["x"], stored["deep"]) == (None, {"q": 2})
    assert "y" not in stored


def test_a_version_that_is_not_newer_changes_nothing_and_succeeds(rig: Rig) -> None:
    log = rig.log
    first = log.insert({"_key": "a", "seq": 5, "x": 1})

    def overwrite(seq: int) -> Any:
        return log.insert(
            {"_key": "a", "seq": seq, "x": seq}, overwrite_mode="replace", version_attribute="seq"
        )

    for write in (log.update, log.replace):
        same = write({"_key": "a", "seq": 5, "x": 9}, version_attribute="seq")
        assert (same["_rev"], same["_old_rev"]) == (first["_rev"], first["_rev"])
    assert overwrite(4)["_rev"] == first["_rev"]
    assert log.get("a")["x"] == 1
    assert overwrite(6)["_rev"] != first["_rev"]
    log.replace({"_key": "a", "x": 2}, version_attribute="seq")
    assert "seq" not in log.get("a")


def test_a_key_that_somebody_else_writes_is_busy(rig: Rig) -> None:
    written = rig.log.insert({"_key": "a"})

    with rig.double.key_locked(DATABASE, LOG, "a"):
        for write in (rig.log.insert, rig.log.update, rig.log.replace, rig.log.delete):
            with rig.refused(409, 1200):
                write({"_key": "a"})
            assert rig.body["_rev"] == written["_rev"]
        rig.log.insert({"_key": "b"})
    rig.log.update({"_key": "a"})


@pytest.mark.parametrize(("way", "code"), [("insert", 1210), ("replace", 1200)])
def test_the_first_to_commit_wins_over_all_coordinators(rig: Rig, way: str, code: int) -> None:
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
    assert rig.double.journal.count(path=DOCUMENT, coordinator=1) == 8


def test_documents_can_be_changed_behind_the_api(rig: Rig) -> None:
    by_commit(rig)
    rig.log.insert_many([{"_key": "a", "commit_id": "one"}, {"_key": "b", "commit_id": "two"}])
    before = rig.log.get("a")
    stored = rig.double.documents(DATABASE, LOG)

    stored.edit("a", amount="1.00")
    assert rig.log.get("a") == {**before, "amount": "1.00"}
    stored.swap("a", "b")
    assert (rig.log.get("a")["commit_id"], rig.log.get("b")["amount"]) == ("two", "1.00")
    with rig.refused(409, 1210):
        rig.log.insert({"_key": "c", "commit_id": "two"})
    stored.delete("a")
    stored.put("z", {"commit_id": "one"})
    assert [each["_key"] for each in stored.all()] == ["b", "z"]
