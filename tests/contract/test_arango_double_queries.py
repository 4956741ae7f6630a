"""
The double of ArangoDB: the AQL it reads, and cursors; python-arango is the judge.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.arango_double.aql_order import order_of
from tests.contract.arango_parts import LOG, Rig, arango_rig

RANGE = "FOR d IN @@c FILTER d._key > @lo AND d._key <= @hi SORT d._key LIMIT @n RETURN d"
HEAD = "FOR d IN @@c FILTER d._key >= @lo AND d._key <= @hi SORT d._key DESC LIMIT 1 RETURN d"
STREAM = """
    FOR d IN @@c
      FILTER d.ledger == @ledger AND @s IN d.streams[*] AND d.seq > @after
      SORT d.seq LIMIT @n
      RETURN d
"""
PAGE = """
    FOR t IN @@c FILTER t.created_at <= @before FILTER t.status == @status
    SORT t.created_at DESC, t._key DESC LIMIT @n RETURN t
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig() as rig:
        yield rig


@pytest.fixture
def filled(rig: Rig) -> Rig:
    rig.log.insert_many(
        [
            {
                "_key": f"main-{seq:04d}",
                "ledger": "main",
                "seq": seq,
                "commit_id": f"c{seq}",
                "streams": ["x"] if seq % 2 else ["x", "y"],
                "status": "open" if seq < 4 else "done",
                "created_at": 0 if seq == 5 else seq // 2,
            }
            for seq in (3, 1, 5, 2, 4)
        ]
    )
    return rig


def seqs(documents: list[Any]) -> list[int]:
    return [each["seq"] for each in documents]


def test_a_range_is_read_in_the_order_of_its_keys(filled: Rig) -> None:
    rows = filled.rows(RANGE, lo="main-0001", hi="main-9", n=3)

    assert seqs(rows) == [2, 3, 4]
    assert rows[0]["_id"] == f"{LOG}/main-0002"
    assert filled.status == 201


def test_the_head_is_the_last_key_of_a_ledger(filled: Rig) -> None:
    assert seqs(filled.rows(HEAD, lo="main-", hi="main-9")) == [5]
    assert filled.rows(HEAD, lo="other-", hi="other-9") == []


def test_a_bound_that_is_no_digit_sorts_before_all_digits(filled: Rig) -> None:
    assert filled.rows(HEAD, lo="main-", hi="main-~") == []


def test_a_stream_is_found_inside_an_array(filled: Rig) -> None:
    assert seqs(filled.rows(STREAM, ledger="main", s="y", after=2, n=10)) == [4]
    assert seqs(filled.rows(STREAM, ledger="main", s="x", after=2, n=2)) == [3, 4]
    assert filled.rows(STREAM, ledger="other", s="x", after=0, n=2) == []


def test_a_page_is_sorted_by_two_keys(filled: Rig) -> None:
    assert seqs(filled.rows(PAGE, before=2, status="open", n=10)) == [3, 2, 1]
    assert seqs(filled.rows(PAGE, before=2, status="done", n=10)) == [4, 5]


def test_wording_may_differ(filled: Rig) -> None:
    by_id = "for d in @@c filter d.commit_id == 'c3' && d.seq != null limit 0, 1 return d.seq"
    kept = 'FOR d IN @@c SORT d._key ASC LIMIT 1, 2 RETURN KEEP(d, "_key", "seq", "none")'
    listed = "FOR d IN @@c FILTER d.seq IN @wanted SORT d.seq DESC RETURN d.seq"

    expanded = "FOR d IN @@c FILTER d.ledger[*] == @nothing LIMIT 1 RETURN d.ledger"

    assert filled.rows(expanded, nothing=[]) == ["main"]
    assert filled.rows(by_id) == [3]
    assert filled.rows(kept)[0] == {"_key": "main-0002", "seq": 2}
    assert filled.rows(listed, wanted=[5, 1, 9]) == [5, 1]


def test_without_sort_no_order_is_to_be_relied_on(filled: Rig) -> None:
    assert seqs(filled.rows("FOR d IN @@c RETURN d")) == [4, 2, 5, 1, 3]


def test_a_limit_before_the_sort_limits_first(filled: Rig) -> None:
    assert filled.rows("FOR d IN @@c LIMIT 2 SORT d.seq RETURN d.seq") == [2, 4]


def test_a_missing_attribute_is_smaller_than_every_number(filled: Rig) -> None:
    filled.log.insert({"_key": "odd"})

    assert [
        each["_key"] for each in filled.rows(PAGE.replace("@status", "null"), before=0, n=9)
    ] == ["odd"]


def test_values_compare_by_type_and_texts_by_language() -> None:
    rising: list[Any] = [
        None,
        False,
        True,
        -1,
        2.5,
        "",
        "_",
        "-",
        "~",
        "1",
        "a",
        "A",
        "ab",
        "b",
        "B",
        [1],
        {},
    ]

    shuffled = rising[::-1]

    assert sorted(shuffled, key=order_of) == rising
    assert order_of(1) == order_of(1.0)


def test_the_store_has_a_clock(rig: Rig) -> None:
    before = next(rig.database.aql.execute("RETURN DATE_NOW()"))
    rig.double.store.clock_offset_ms = 60_000
    after = next(rig.database.aql.execute("RETURN DATE_NOW()"))

    assert after - before >= 60_000


@pytest.mark.parametrize(
    ("query", "binds", "status", "number"),
    [
        pytest.param("  ", {}, 400, 1502, id="empty"),
        pytest.param(HEAD, {"@c": LOG, "lo": "a"}, 400, 1551, id="a value is missing"),
        pytest.param("RETURN DATE_NOW()", {"x": 1}, 400, 1552, id="a value is undeclared"),
        pytest.param(
            RANGE, {"@c": LOG, "lo": "a", "hi": "b", "n": "9"}, 400, 1553, id="a limit of text"
        ),
        pytest.param("FOR d IN @@c RETURN d", {"@c": "none"}, 404, 1203, id="no collection"),
    ],
)
def test_a_wrong_query_has_its_own_number(
    rig: Rig, query: str, binds: dict[str, Any], status: int, number: int
) -> None:
    with rig.refused(status, number):
        rig.database.aql.execute(query, bind_vars=binds)


@pytest.mark.parametrize(
    "query",
    [
        "FOR d IN @@c INSERT d INTO @@c",
        "FOR d IN @@c FILTER d.x == 1 OR d.y == 2 RETURN d",
        "FOR d IN log RETURN d",
        "FOR d IN @@c RETURN LENGTH(d)",
        "FOR d IN @@c RETURN d // all",
        "RETURN 1",
        "FOR",
    ],
)
def test_other_aql_is_refused_loudly(rig: Rig, query: str) -> None:
    with rig.refused(501, 9):
        rig.database.aql.execute(query, bind_vars={"@c": LOG})

    assert query in rig.body["errorMessage"]
    assert rig.double.unknown == [rig.body["errorMessage"]]


def test_a_long_result_comes_in_batches(filled: Rig) -> None:
    query = "FOR d IN @@c SORT d.seq RETURN d.seq"
    options = {"bind_vars": {"@c": LOG}, "batch_size": 2}
    cursor = filled.database.aql.execute(query, count=True, **options)

    assert (cursor.count(), cursor.has_more(), filled.status) == (5, True, 201)
    assert list(cursor) == [1, 2, 3, 4, 5]
    assert filled.status == 200
    assert not cursor.has_more()
    assert filled.double.journal.count("POST", f"/_api/cursor/{cursor.id}") == 2


def test_a_cursor_is_closed_once_and_then_unknown(filled: Rig) -> None:
    query, options = "FOR d IN @@c RETURN d", {"bind_vars": {"@c": LOG}, "batch_size": 2}
    cursor = filled.database.aql.execute(query, **options)
    assert cursor.close()
    assert filled.status == 202
    with filled.refused(404, 1600):
        cursor.fetch()
    expired = filled.database.aql.execute(query, **options)
    filled.double.forget_cursors()
    with filled.refused(404, 1600):
        expired.fetch()


def test_a_batch_may_be_asked_for_twice_where_that_was_agreed(filled: Rig) -> None:
    query = "FOR d IN @@c SORT d.seq RETURN d.seq"
    cursor = filled.database.aql.execute(
        query, bind_vars={"@c": LOG}, batch_size=2, allow_retry=True
    )
    assert filled.body["nextBatchId"] == "2"

    assert cursor.fetch()["batch"] == [3, 4]
    cursor._next_batch_id = "2"
    assert cursor.fetch()["batch"] == [3, 4]
    cursor._next_batch_id = "9"
    with filled.refused(400, 400):
        cursor.fetch()
