"""The class of every error of ArangoDB, and the advice for it."""

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

REPLIES = {
    FailureClass.CONFLICT: [(409, 1210), (412, 1200)],
    FailureClass.KEY_BUSY: [(409, 1200)],
    FailureClass.NOT_APPLIED: [
        *((403, 1004), (503, 1429), (503, 1495), (503, 1496), (503, 30), (503, 38), (503, 503)),
        *((503, 21003), (412, 21004), (404, 1600), (429, 429)),
        *((410, 1500), (404, 1591), (409, 1601)),
    ],
    FailureClass.AMBIGUOUS: [
        *((500, 18), (500, 28), (500, 29), (500, 32), (500, 1302), (500, 1457), (500, 1464)),
        *((500, 4), (500, 500), (502, 502), (503, 1465), (503, 1478), (504, 504), (421, 1491)),
        *((410, 21), (410, 1654), (404, 1655), (406, 1489), (406, 1490), (409, 1447)),
    ],
    FailureClass.PERMANENT: [
        *((301, 301), (400, 10), (400, 400), (400, 600), (400, 1005), (400, 1210), (400, 1221)),
        *((400, 1470), (400, 1501), (400, 1502), (400, 1551), (400, 1552), (400, 1620)),
        *((400, 1652), (400, 1653), (401, 11), (401, 401), (403, 11), (404, 1202), (404, 1203)),
        *((404, 1228), (406, 406), (409, 1207), (410, 410), (501, 9)),
    ],
}
"""HTTP status and errorNum, as a server sends them."""

ELEMENTS = {
    FailureClass.CONFLICT: [1210],
    FailureClass.KEY_BUSY: [1200],
    FailureClass.NOT_APPLIED: [1004, 1429, 1495, 1496],
    FailureClass.AMBIGUOUS: [18, 1447, 1457, 1465, 1490, 1654],
    FailureClass.PERMANENT: [11, 1202, 1221, 1620],
}
"""errorNum of one of several documents. It has no status and is classified as with 409."""


@pytest.mark.parametrize(
    ("status", "number", "expected"),
    [(*reply, expected) for expected, replies in REPLIES.items() for reply in replies],
)
def test_a_reply_is_classified_by_the_table(
    status: int, number: int, expected: FailureClass
) -> None:
    assert classify_failure(RequestRejectedError(status, number, "")) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(number, expected) for expected, numbers in ELEMENTS.items() for number in numbers],
)
def test_an_element_is_classified_like_a_reply(number: int, expected: FailureClass) -> None:
    assert classify_failure(RequestRejectedError(409, number, "")) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotSentError(""), FailureClass.NOT_APPLIED),
        (NoReplyError(""), FailureClass.AMBIGUOUS),
        (NotDurableError(""), FailureClass.PERMANENT),
        (UnexpectedDocumentError(""), FailureClass.PERMANENT),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, ArangoRequestError) else each.name,
)
def test_errors_without_an_error_reply_are_classified(
    error: ArangoRequestError, expected: FailureClass
) -> None:
    assert classify_failure(error) is expected


@pytest.mark.parametrize(
    ("error", "unavailable"),
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
def test_failures_of_one_coordinator_differ_from_failures_of_the_cluster(
    error: ArangoRequestError, *, unavailable: bool
) -> None:
    assert is_coordinator_unavailable(error) is unavailable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RequestRejectedError(401, 11, ""), "S1_DB_ARANGO_PASS"),
        (RequestRejectedError(403, 11, ""), "S1_DB_ARANGO_USER"),
        (RequestRejectedError(403, 1004, ""), "replicas"),
        (RequestRejectedError(404, 1203, ""), "restore it"),
        (RequestRejectedError(400, 1501, ""), "log"),
        (RequestRejectedError(503, 1496, ""), "retry"),
        (RequestRejectedError(410, 1654, ""), "retry"),
        (RequestRejectedError(406, 1490, ""), "retry"),
        (NotSentError(""), "retry"),
        (NotDurableError(""), "waitForSync"),
        (UnexpectedDocumentError(""), "rebuild"),
    ],
)
def test_every_error_has_advice(error: ArangoRequestError, expected: str) -> None:
    assert expected in advice(error)
