"""Replies to a transfer: which are definite, and that all others are not."""

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.http.reply_classification import (
    REFUSED_CODES,
    ReplyCategory,
    classify_reply,
    sanitize,
)
from chimera_s1.adapters.binance.treasury.transfer_reply import classify_transfer_reply
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    SubmissionReply,
)
from chimera_s1.domain.treasury.events import FailureReason

NO_HEADERS = httpx2.Headers()
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
UNKNOWN_ERROR = "Unknown error, please check your request or try again later."
INTERNAL = "Internal error; unable to process your request. Please try again."
THROTTLED = (
    "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. "
    "Please try again."
)


def error_body(code: int, msg: str = "No.") -> bytes:
    return json.dumps({"code": code, "msg": msg}).encode()


ACCEPTED = [(200, b'{"tranId":13526853623}'), (200, b'{"tranId":7,"clientTranId":"s1-a-1"}')]
NO_AMOUNT = "user have no avaliable amount"
FORBIDDEN = [
    (400, -1099),
    (400, -1022),
    (401, -1002),
    (401, -2014),
    (401, -2015),
    (403, -2015),
    (400, -2015),
]
REFUSED = [(400, code) for code in sorted(REFUSED_CODES)]
TURNED_AWAY = [
    (429, error_body(-1003)),
    (429, error_body(-1015)),
    (429, b""),
    (429, HTML),
    (418, error_body(-1003)),
    (418, HTML),
    (400, error_body(-1003)),
    (429, error_body(-1008, THROTTLED)),
]
UNKNOWN = [
    (200, b""),
    (200, b"{}"),
    (200, b"[]"),
    (200, b"null"),
    (200, HTML),
    (200, b'{"tranId":135268'),
    (200, b'{"tranId":"13526853623"}'),
    (200, b'{"tranId":true}'),
    (200, b'{"tranId":1.5}'),
    (200, b'{"tranId":null}'),
    (200, b'{"tranId":0}'),
    (200, b'{"tranId":-1}'),
    (200, b'{"tranId":123456789012345678901234567890}'),
    (200, b'{"tranId":5,"code":-5012}'),
    (200, b'{"tranId":5,"code":0}'),
    (200, error_body(-5013)),
    (200, error_body(-2015)),
    (200, b"\xff\xfe"),
    (200, b"[" * 50_000),
    (201, b'{"tranId":5}'),
    (204, b""),
    (302, b""),
    (307, error_body(-5013)),
    (400, b""),
    (400, HTML),
    (400, b'{"code":"-5013","msg":"text for a code"}'),
    (400, b'{"msg":"Service Unavailable."}'),
    (400, error_body(-1000)),
    (400, error_body(-1004)),
    (400, error_body(-1008, THROTTLED)),
    (400, error_body(-1016)),
    (400, error_body(-1107)),
    (400, error_body(-1112)),
    (400, error_body(-1199)),
    (400, error_body(-2010)),
    (400, error_body(-5010)),
    (400, error_body(-5012)),
    (400, error_body(-9000)),
    (400, error_body(-9000, "Full ad object required")),
    (400, b'{"code":-9000}'),
    (500, error_body(-9000, NO_AMOUNT)),
    (400, error_body(-9001, NO_AMOUNT)),
    (400, error_body(-4115, "ClientTranId is duplicated")),
    (400, error_body(0)),
    (400, error_body(1022)),
    (400, error_body(100001003, "Verification failed")),
    (400, error_body(239999)),
    (403, HTML),
    (403, b""),
    (404, HTML),
    (408, b""),
    (408, error_body(-1007)),
    (408, error_body(-5013)),
    (408, error_body(-1003)),
    (409, b""),
    (429, error_body(-1007)),
    (451, error_body(0, "Service unavailable from a restricted location")),
    (500, error_body(-1000)),
    (500, error_body(-1006)),
    (500, error_body(-5013)),
    (500, error_body(-1008)),
    (503, error_body(-1008, THROTTLED)),
    (503, b'{"msg":"Service Unavailable."}'),
    (500, b'{"msg":"Service Unavailable."}'),
    (502, HTML),
    (503, b""),
    (503, b"Service Unavailable."),
    (503, HTML),
    (503, json.dumps({"msg": UNKNOWN_ERROR}).encode()),
    (503, error_body(-1000, "Service Unavailable.")),
    (503, error_body(0, "Service Unavailable.")),
    (503, error_body(-1001, INTERNAL)),
    (503, error_body(-1003)),
    (503, error_body(-1102)),
    (503, b'{"msg":"service unavailable"}'),
    (504, HTML),
    (504, error_body(-1007)),
]


@pytest.mark.parametrize(("status", "body"), ACCEPTED)
def test_a_whole_tran_id_is_an_accepted_transfer(status: int, body: bytes) -> None:
    """Its digits are the movement's id."""
    assert classify_transfer_reply(status, body, NO_HEADERS) == ReplyAccepted(
        str(json.loads(body)["tranId"])
    )


@pytest.mark.parametrize(("status", "code"), FORBIDDEN)
def test_a_key_or_permission_error_is_forbidden(status: int, code: int) -> None:
    """It concerns every transfer, not only this one."""
    reply = classify_transfer_reply(status, error_body(code, "Invalid API-key."), NO_HEADERS)

    assert reply == ReplyRefused(FailureReason.FORBIDDEN, f"{status} {code} Invalid API-key.")


@pytest.mark.parametrize(("status", "code"), REFUSED)
def test_a_documented_refusal_is_definite(status: int, code: int) -> None:
    """With the exchange's message."""
    reply = classify_transfer_reply(status, error_body(code, "Not enough."), NO_HEADERS)

    assert reply == ReplyRefused(FailureReason.REFUSED, f"{status} {code} Not enough.")


@pytest.mark.parametrize("msg", [NO_AMOUNT, "user have no available amount", "No available amount"])
def test_a_code_of_many_meanings_is_definite_with_its_text_only(msg: str) -> None:
    reply = classify_transfer_reply(400, error_body(-9000, msg), NO_HEADERS)

    assert reply == ReplyRefused(FailureReason.REFUSED, f"400 -9000 {msg}")


@pytest.mark.parametrize(("status", "body"), TURNED_AWAY)
def test_a_rate_limited_reply_carries_the_wait(status: int, body: bytes) -> None:
    """The one of the Retry-After header."""
    reply = classify_transfer_reply(status, body, httpx2.Headers({"retry-after": "3"}))

    assert isinstance(reply, ReplyNotProcessed)
    assert (reply.retry_after_ms, reply.clock_suspect) == (3_000, False)


@pytest.mark.parametrize(
    ("status", "body", "wait_ms"),
    [(429, b"", 60_000), (418, HTML, 60_000)],
)
def test_without_retry_after_a_rate_limit_waits_for_a_minute(
    status: int, body: bytes, wait_ms: int
) -> None:
    """A minute is the window of every limit."""
    reply = classify_transfer_reply(status, body, NO_HEADERS)

    assert isinstance(reply, ReplyNotProcessed)
    assert reply.retry_after_ms == wait_ms


def test_a_timestamp_out_of_the_window_makes_the_clock_suspect() -> None:
    """Nothing was executed, and asking again with the same clock will not help."""
    text = "Timestamp for this request is outside of the recvWindow."

    assert classify_transfer_reply(400, error_body(-1021, text), NO_HEADERS) == ReplyNotProcessed(
        f"400 -1021 {text}", 0, clock_suspect=True
    )


@pytest.mark.parametrize(("status", "body"), UNKNOWN)
def test_everything_else_is_unknown(status: int, body: bytes) -> None:
    """With any header."""
    assert isinstance(
        classify_transfer_reply(status, body, httpx2.Headers({"Retry-After": "1"})), ReplyUnknown
    )


STATUSES = st.integers(100, 599)
CODES = st.one_of(
    st.integers(-6_000, -900), st.integers(), st.sampled_from([c for _, c in FORBIDDEN + REFUSED])
)
BODIES = st.one_of(
    st.binary(),
    CODES.map(error_body),
    st.builds(lambda code, tran: json.dumps({"code": code, "tranId": tran}).encode(), CODES, CODES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["tranId", "code"]), inner),
    ).map(lambda value: json.dumps(value).encode()),
)


def code_in(body: bytes) -> float | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    code = value.get("code") if isinstance(value, dict) else None
    return code if isinstance(code, int | float) else None


@given(STATUSES, BODIES)
def test_only_replies_on_the_list_are_definite(status: int, body: bytes) -> None:
    """The list again, in other words: any other status and body leave the outcome open."""
    reply = classify_transfer_reply(status, body, NO_HEADERS)
    code = code_in(body)
    client_error = 400 <= status < 500 and status != 408
    turned_away = status in {418, 429} or (client_error and code in {-1003, -1015, -1021})
    refusals = {c for _, c in FORBIDDEN + REFUSED} | {-9000}

    match reply:
        case ReplyAccepted(tran_id=tran_id):
            assert status == 200
            assert code is None
            assert json.loads(body)["tranId"] == int(tran_id) > 0
        case ReplyRefused():
            assert client_error
            assert code in refusals
        case ReplyNotProcessed():
            assert turned_away
        case _:
            assert isinstance(reply, ReplyUnknown)
            assert reply.cause


SECRETS = st.text("abcdefABCDEF0123456789", min_size=64, max_size=64)


@given(STATUSES, CODES, st.text(), SECRETS, st.text())
def test_no_reply_repeats_a_possible_key(
    status: int, code: int, before: str, secret: str, after: str
) -> None:
    """An exchange or a proxy may echo what it was sent; our records do not."""
    reply = classify_transfer_reply(status, error_body(code, before + secret + after), NO_HEADERS)

    assert secret[:40] not in text_of(reply)
    assert secret[:40] not in repr(reply)


@given(st.text())
def test_a_cause_is_one_short_line(msg: str) -> None:
    """With any message."""
    text = sanitize(msg)

    assert text.isprintable()
    assert len(text) <= 203


@pytest.mark.parametrize(
    ("said_by_exchange", "kept"),
    [
        ("Transfer\r\nfailed\x00.", "Transfer failed ."),
        ("GET /sapi/v1/x?timestamp=1&signature=ab failed", "GET /sapi/v1/x*** failed"),
        ("bad body type=A&amount=1&signature=ab", "bad body ***"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 123e4567-e89b-12d3-a456-426614174000"),
        (f"{'word ' * 900}{'a' * 64}", f"{'word ' * 40}..."),
        ("b" * 5_000, ""),
    ],
)
def test_sanitize_keeps_words_and_masks_keys(said_by_exchange: str, kept: str) -> None:
    """Queries and long words are masked completely."""
    assert sanitize(said_by_exchange) == kept


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://login.example:8443/?signature=abc", "login.example"),
        ("//user:secret@other.example/x", "other.example"),
        ("/maintenance?signature=abc", "another path of the same host"),
        ("http://[::bad/", "an unreadable Location"),
        ("https://a\x1b\u202eb.example/", "a b.example"),
        ("https://" + "a" * 500 + "/", "***"),
        ("", "nowhere (no Location header)"),
    ],
)
def test_a_redirect_names_the_host_and_nothing_else_of_its_location(
    location: str, named: str
) -> None:
    headers = {"Location": location} if location else {}

    reply = classify_reply(302, None, headers)

    assert reply.category is ReplyCategory.UNKNOWN
    assert reply.summary == (
        f"302, a redirect to {named}, which is not followed: correct the REST URL"
    )


def text_of(reply: SubmissionReply) -> str:
    match reply:
        case ReplyAccepted():
            return ""
        case ReplyRefused(message=message):
            return message
        case _:
            return reply.cause
