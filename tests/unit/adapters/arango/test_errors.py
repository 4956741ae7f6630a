"""What each error of ArangoDB means: the whole table."""

import pytest

from chimera_s1.adapters.arango.errors import (
    ArangoRequestError,
    FailureClass,
    NoReplyError,
    NotDurableError,
    NotSentError,
    RequestRejectedError,
    UnexpectedDocumentError,
    advice,
    classify_failure,
    is_coordinator_unavailable,
)

ANSWERS = {
    FailureClass.CONFLICT: [(409, 1210), (412, 1200)],
    FailureClass.KEY_BUSY: [(409, 1200)],
    FailureClass.NOT_APPLIED: [
        *((403, 1004), (503, 1429), (503, 1495), (503, 1496), (503, 30), (503, 38), (503, 503)),
        *((503, 21003), (412, 21004), (404, 1600), (429, 429)),
    ],
    FailureClass.AMBIGUOUS: [
        *((500, 18), (500, 28), (500, 29), (500, 32), (500, 1302), (500, 1457), (500, 1464)),
        *((500, 4), (500, 500), (502, 502), (503, 1465), (503, 1478), (504, 504), (421, 1491)),
    ],
    FailureClass.PERMANENT: [
        *((301, 301), (400, 10), (400, 400), (400, 600), (400, 1005), (400, 1210), (400, 1221)),
        *((400, 1470), (400, 1501), (400, 1502), (400, 1551), (400, 1552), (400, 1620)),
        *((400, 1652), (400, 1653), (401, 11), (401, 401), (403, 11), (404, 1202), (404, 1203)),
        *((404, 1228), (404, 1655), (409, 1207), (410, 1654), (501, 9)),
    ],
}
"""HTTP status and errorNum, as a server sends them."""

ELEMENTS = {
    FailureClass.CONFLICT: [1210],
    FailureClass.KEY_BUSY: [1200],
    FailureClass.NOT_APPLIED: [1004, 1429, 1495, 1496],
    FailureClass.AMBIGUOUS: [18, 1457, 1465],
    FailureClass.PERMANENT: [11, 1202, 1221, 1620],
}
"""errorNum of one of several documents, which comes without a status and is read as with 409."""


@pytest.mark.parametrize(
    ("status", "number", "verdict"),
    [(*answer, verdict) for verdict, answers in ANSWERS.items() for answer in answers],
)
def test_an_answer_means_what_the_table_says(
    status: int, number: int, verdict: FailureClass
) -> None:
    assert classify_failure(RequestRejectedError(status, number, "")) is verdict


@pytest.mark.parametrize(
    ("number", "verdict"),
    [(number, verdict) for verdict, numbers in ELEMENTS.items() for number in numbers],
)
def test_an_element_means_the_same_as_an_answer(number: int, verdict: FailureClass) -> None:
    assert classify_failure(RequestRejectedError(409, number, "")) is verdict


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (NotSentError(""), FailureClass.NOT_APPLIED),
        (NoReplyError(""), FailureClass.AMBIGUOUS),
        (NotDurableError(""), FailureClass.PERMANENT),
        (UnexpectedDocumentError(""), FailureClass.PERMANENT),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, ArangoRequestError) else each.name,
)
def test_what_is_no_error_of_the_server(fault: ArangoRequestError, verdict: FailureClass) -> None:
    assert classify_failure(fault) is verdict


@pytest.mark.parametrize(
    ("fault", "rests"),
    [
        (NotSentError(""), True),
        (NoReplyError(""), True),
        (RequestRejectedError(503, 503, ""), True),
        (RequestRejectedError(503, 30, ""), True),
        (RequestRejectedError(503, 38, ""), True),
        (RequestRejectedError(503, 1496, ""), False),
        (RequestRejectedError(403, 1004, ""), False),
        (RequestRejectedError(409, 1210, ""), False),
        (NotDurableError(""), False),
    ],
)
def test_one_coordinators_failures_are_told_from_the_clusters(
    fault: ArangoRequestError, *, rests: bool
) -> None:
    assert is_coordinator_unavailable(fault) is rests


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RequestRejectedError(401, 11, ""), "S1_DB_ARANGO_PASS"),
        (RequestRejectedError(403, 11, ""), "S1_DB_ARANGO_USER"),
        (RequestRejectedError(403, 1004, ""), "copies"),
        (RequestRejectedError(404, 1203, ""), "restore it"),
        (RequestRejectedError(400, 1501, ""), "log"),
        (RequestRejectedError(503, 1496, ""), "may succeed"),
        (NotSentError(""), "may succeed"),
        (NotDurableError(""), "waitForSync"),
        (UnexpectedDocumentError(""), "rebuild"),
    ],
)
def test_each_says_what_to_do(fault: ArangoRequestError, words: str) -> None:
    assert words in advice(fault)
