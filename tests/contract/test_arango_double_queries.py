"""The queries of the ArangoDB double: the adapter's texts, their rows, errors and batches.

python-arango is the client.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from arango.request import Request as DriverRequest

from chimera_s1.adapters.arango import queries as adapter_queries
from tests.arango_double.errors import UnknownRequestError
from tests.arango_double.queries import (
    CHANGE_BATCHES,
    COMMIT_BY_ID,
    COMMITS_OF_STREAM,
    HEAD_COMMIT,
    KNOWN_QUERIES,
    NEWEST_TRANSFERS,
    NEWEST_TRANSFERS_OF_STATUS,
    NEXT_COMMIT_KEY,
    REGISTRY_ROWS,
    one_line,
)
from tests.arango_double.value_order import order_of
from tests.contract.arango_double_rig import LOG, Rig, arango_rig

CURSOR = "/_api/cursor"
STREAM_BINDS = {"@commits": LOG, "ledger": "main", "stream": "x"}
HEAD_BINDS = {"@commits": LOG, "first": "main-", "last": "main-9"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig(coordinators=2) as rig:
        yield rig


@pytest.fixture
def filled(rig: Rig) -> Rig:
    rig.log.insert_many(
        [
            {
                "_key": f"main-{seq}",
                "ledger": "main",
                "seq": seq,
                "commit_id": f"c{seq}",
                "streams": ["x"] if seq % 2 else ["x", "y"],
                "status": "open" if seq < 4 else "done",
                "place": f"p{seq}",
            }
            for seq in (3, 1, 5, 2, 4)
        ]
    )
    return rig


def seqs(documents: list[Any]) -> list[int]:
    return [each["seq"] for each in documents]


def newest(rig: Rig, before: str, limit: int, status: str | None = None) -> list[int]:
    binds = {"@transfers": LOG, "before": before, "limit": limit}
    if status is None:
        return seqs(list(rig.query(NEWEST_TRANSFERS, binds)))
    return seqs(list(rig.query(NEWEST_TRANSFERS_OF_STATUS, {**binds, "status": status})))


def test_the_double_knows_exactly_the_queries_of_the_adapter() -> None:
    sent = {text for name, text in vars(adapter_queries).items() if name.isupper()}

    assert {one_line(text) for text in sent} == set(KNOWN_QUERIES)


def test_white_space_may_differ(filled: Rig) -> None:
    assert seqs(filled.rows(one_line(HEAD_COMMIT), first="main-", last="main-9")) == [5]


@pytest.mark.parametrize(
    "query",
    [
        f"{HEAD_COMMIT} // newest",
        HEAD_COMMIT.replace("DESC", "ASC"),
        "RETURN DATE_NOW()",
        "FOR c IN @@commits RETURN c",
        "SELECT 1",
    ],
)
def test_any_other_query_is_answered_with_501(rig: Rig, query: str) -> None:
    with rig.refused(501, 9):
        rig.query(query, HEAD_BINDS)

    assert repr(query) in rig.body["errorMessage"]
    assert rig.double.unknown == [rig.body["errorMessage"]]


def test_the_head_is_the_commit_with_the_last_key(filled: Rig) -> None:
    (head,) = filled.rows(HEAD_COMMIT, first="main-2", last="main-4")

    assert (head["seq"], head["_id"]) == (4, f"{LOG}/main-4")
    assert filled.status == 201
    assert seqs(filled.rows(HEAD_COMMIT, first="main-5", last="main-9")) == [5]
    assert filled.rows(HEAD_COMMIT, first="other-", last="other-9") == []


def test_a_bound_that_is_not_a_digit_sorts_before_all_digits(filled: Rig) -> None:
    assert filled.rows(HEAD_COMMIT, first="main-", last="main-~") == []


def test_next_is_the_first_key_after_another(filled: Rig) -> None:
    assert filled.rows(NEXT_COMMIT_KEY, after="main-2", last="main-9") == ["main-3"]
    assert filled.rows(NEXT_COMMIT_KEY, after="main-4", last="main-5") == ["main-5"]
    assert filled.rows(NEXT_COMMIT_KEY, after="main-2", last="main-2") == []
    assert filled.rows(NEXT_COMMIT_KEY, after="main-5", last="main-9") == []


def test_a_commit_is_found_by_its_id_in_one_ledger(filled: Rig) -> None:
    filled.log.insert({"ledger": "main", "seq": 4, "commit_id": "c4"})

    assert seqs(filled.rows(COMMIT_BY_ID, ledger="main", commit_id="c4")) == [4]
    assert filled.rows(COMMIT_BY_ID, ledger="main", commit_id="c") == []
    assert filled.rows(COMMIT_BY_ID, ledger="other", commit_id="c4") == []


def test_the_commits_of_a_stream_come_in_the_order_of_seq(filled: Rig) -> None:
    filled.log.insert_many([{"ledger": "main", "seq": 6}, {"ledger": "main", "streams": "xy"}])

    assert seqs(filled.rows(COMMITS_OF_STREAM, ledger="main", stream="x")) == [1, 2, 3, 4, 5]
    assert seqs(filled.rows(COMMITS_OF_STREAM, ledger="main", stream="y")) == [2, 4]
    assert filled.rows(COMMITS_OF_STREAM, ledger="other", stream="x") == []


def test_transfers_come_newest_first_up_to_the_limit(filled: Rig) -> None:
    assert newest(filled, "q", 2) == [5, 4]
    assert newest(filled, "p3", 9) == [2, 1]
    assert newest(filled, "q", 2, status="open") == [3, 2]
    assert newest(filled, "p5", 9, status="done") == [4]
    assert newest(filled, "q", 0) == []


def test_rows_of_a_venue_and_batches_of_changes(rig: Rig) -> None:
    rig.log.insert_many(
        [
            {"_key": f"{number:016d}", "newest_at": time, "venue": venue}
            for number, time, venue in ((3, 30, "spot"), (1, 20, "perp"), (2, 10, "spot"))
        ]
    )

    def batches(after: int, since: int, limit: int = 9) -> list[int]:
        binds = {"@changes": LOG, "after": f"{after:016d}", "since": since, "limit": limit}
        return [int(each["_key"]) for each in rig.query(CHANGE_BATCHES, binds)]

    assert batches(0, 0) == [1, 2, 3]
    assert batches(0, 0, limit=2) == [1, 2]
    assert batches(1, 11) == [3]
    found = rig.query(REGISTRY_ROWS, {"@registry": LOG, "venue": "spot"})
    assert sorted(int(each["_key"]) for each in found) == [2, 3]


def test_a_missing_attribute_is_smaller_than_any_text(filled: Rig) -> None:
    filled.log.insert({"seq": 9})

    assert newest(filled, "p2", 9) == [1, 9]


def test_values_compare_by_type_and_texts_by_language() -> None:
    rising: list[Any] = [
        *(None, False, True, -1, 2.5),
        *("", "_", "-", "~", "1", "a", "A", "ab", "b", "B"),
    ]

    falling = rising[::-1]

    assert sorted(falling, key=order_of) == rising
    assert order_of(1) == order_of(1.0)
    with pytest.raises(UnknownRequestError):
        order_of([])


@pytest.mark.parametrize(
    ("query", "binds", "status", "number"),
    [
        pytest.param("  ", {}, 400, 1502, id="empty"),
        pytest.param(HEAD_COMMIT, {"@commits": LOG, "first": "a"}, 400, 1551, id="value missing"),
        pytest.param(HEAD_COMMIT, {**HEAD_BINDS, "x": 1}, 400, 1552, id="value without a variable"),
        pytest.param(
            HEAD_COMMIT, {**HEAD_BINDS, "@commits": 1}, 400, 1553, id="collection is a number"
        ),
        pytest.param(
            HEAD_COMMIT, {**HEAD_BINDS, "@commits": "none"}, 404, 1203, id="no collection"
        ),
    ],
)
def test_a_wrong_query_has_its_own_error_number(
    rig: Rig, query: str, binds: dict[str, Any], status: int, number: int
) -> None:
    with rig.refused(status, number):
        rig.query(query, binds)


@pytest.mark.parametrize("limit", [None, "9", True, -1, 1.5])
def test_an_unusual_limit_is_answered_with_501(rig: Rig, limit: object) -> None:
    binds = {"@transfers": LOG, "before": "q", "limit": limit}

    with rig.refused(501, 9):
        rig.query(NEWEST_TRANSFERS, binds)


@pytest.mark.parametrize("body", ["", "{}", '{"query": 1}'])
def test_a_query_without_a_text_is_answered_with_501(rig: Rig, body: str) -> None:
    reply = rig.database.request(DriverRequest("post", CURSOR, data=body, deserialize=False))

    assert reply.status_code == 501


def test_a_long_result_comes_in_batches(filled: Rig) -> None:
    cursor = filled.query(COMMITS_OF_STREAM, STREAM_BINDS, batch_size=2)

    assert (len(cursor.batch()), cursor.has_more(), filled.status) == (2, True, 201)
    assert seqs(list(cursor)) == [1, 2, 3, 4, 5]
    assert filled.status == 200
    assert not cursor.has_more()
    assert filled.double.requests.count("POST", f"{CURSOR}/{cursor.id}") == 2


def test_a_finished_or_expired_cursor_is_unknown(filled: Rig) -> None:
    finished = filled.query(COMMITS_OF_STREAM, STREAM_BINDS, batch_size=3)
    list(finished)
    with filled.refused(404, 1600):
        finished.fetch()
    expired = filled.query(COMMITS_OF_STREAM, STREAM_BINDS, batch_size=3)
    filled.double.expire_cursors()
    with filled.refused(404, 1600):
        expired.fetch()


def test_a_coordinator_that_goes_down_loses_its_cursors(filled: Rig) -> None:
    cursor = filled.query(COMMITS_OF_STREAM, STREAM_BINDS, batch_size=2)

    filled.double.take_down(1)
    filled.double.bring_up(1)
    cursor.fetch()
    filled.double.take_down(0)
    filled.double.bring_up(0)

    with filled.refused(404, 1600):
        cursor.fetch()
