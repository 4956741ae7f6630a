"""Transfers through the client: which replies are definite, and that every request has one id."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import TRANSFER_ID_PATTERN, parse_transfer_id
from chimera_s1_client import (
    AccessError,
    ConflictError,
    HttpReply,
    KeyReusedError,
    NoReplyError,
    NotFoundError,
    ProblemError,
    RequestInvalidError,
    TransferClient,
    TransferFailed,
    TransferOk,
    TransferPending,
    TransferRequest,
    TransferResult,
    Wallet,
)
from chimera_s1_client.transfer import Rejected, ReplyMeaning, RetryNeeded, interpret_reply
from chimera_s1_client.transfer_client import PATH, REQUESTS_MAX
from tests.virtual_time import LoopClock, run_on_virtual_time

ID = "t-1"
REQUEST = TransferRequest(transfer_id=ID, source=Wallet.SPOT, target=Wallet.FUT, amount_usdt="12.5")
LOST = NoReplyError("connection reset")


def reply(status: int, *, wait_s: int = 0, **fields: str) -> HttpReply:
    return HttpReply(status, msgspec.json.encode(fields), wait_s * 1000)


def answer(result: str, status: int = 200, message: str = "") -> HttpReply:
    return reply(status, transfer_id=ID, result=result, message=message)


OK = answer("OK")
PENDING = answer("PENDING", 202)
BUSY = reply(503, code="store.unavailable", detail="no store", result="FAIL", transfer_id=ID)
UNREADABLE = "status 200 with a body that is not a transfer result"


@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        (OK, TransferOk(ID)),
        (answer("FAIL", message="-5013"), TransferFailed(ID, "-5013")),
        (PENDING, TransferPending(ID, "")),
        (
            reply(422, code="above_max", detail="too much"),
            TransferFailed(ID, "too much (422 above_max)", "above_max"),
        ),
        (BUSY, RetryNeeded("no store (503 store.unavailable)")),
        (reply(429, wait_s=7), RetryNeeded("status 429", 7_000)),
        (reply(500), RetryNeeded("status 500")),
        (reply(302), RetryNeeded("status 302")),
        (HttpReply(502, b"<html>"), RetryNeeded("status 502")),
        (HttpReply(200, b"<html>"), RetryNeeded(UNREADABLE)),
        (reply(200, result="OK"), RetryNeeded(UNREADABLE)),
        (answer("MAYBE"), RetryNeeded(UNREADABLE)),
        (
            reply(200, result="OK", transfer_id="t-2"),
            RetryNeeded("the reply is about another transfer"),
        ),
    ],
    ids=repr,
)
def test_only_some_replies_are_definite(given: HttpReply, meaning: ReplyMeaning) -> None:
    """The status decides: a problem's body says FAIL even where the outcome is unknown."""
    assert interpret_reply(given, ID) == meaning


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (reply(400), RequestInvalidError, "status 400"),
        (reply(401, code="x", detail="no token"), AccessError, "no token (401 x)"),
        (reply(403), AccessError, "status 403"),
        (reply(404, code="treasury.not_found"), NotFoundError, "status 404 treasury.not_found"),
        (reply(409, code="halted"), ConflictError, "status 409 halted"),
        (reply(413), RequestInvalidError, "status 413"),
        (reply(415), RequestInvalidError, "status 415"),
        (reply(422, code="key_reused"), KeyReusedError, "status 422 key_reused"),
        (HttpReply(422, b"<html>"), RequestInvalidError, "status 422"),
    ],
    ids=repr,
)
def test_a_problem_is_an_error_of_its_own_type(
    given: HttpReply, error: type[ProblemError], text: str
) -> None:
    meaning = interpret_reply(given, ID)

    assert isinstance(meaning, Rejected)
    assert type(meaning.error) is error
    assert str(meaning.error) == text


class Sent(Struct, frozen=True):
    method: str
    path: str
    body: bytes | None
    key: str


class Outcome(Struct):
    result: TransferResult | ProblemError
    sent: list[Sent]
    waits: list[str]
    elapsed_s: float


def call(
    use: Callable[[TransferClient], Awaitable[TransferResult]], *replies: HttpReply | NoReplyError
) -> Outcome:
    """*use* a client whose service gives *replies* in order, then the last one again."""
    left, sent, waits = list(replies), list[Sent](), list[str]()

    async def send(method: str, path: str, body: bytes | None, key: str) -> HttpReply:
        sent.append(Sent(method, path, body, key))
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, NoReplyError):
            raise given
        return given

    async def main() -> Outcome:
        client = TransferClient(
            send, on_wait=lambda cause, _: waits.append(cause), draw=lambda: 0.0
        )
        result: TransferResult | ProblemError
        try:
            result = await use(client)
        except ProblemError as error:
            result = error
        return Outcome(result, sent, waits, LoopClock().monotonic_ms() / 1000)

    return run_on_virtual_time(main)


def request(*replies: HttpReply | NoReplyError, wait_s: float = 30) -> Outcome:
    return call(lambda client: client.transfer(REQUEST, wait_s=wait_s), *replies)


def test_the_same_request_is_sent_until_a_definite_reply() -> None:
    done = request(LOST, BUSY, reply(500), HttpReply(200, b"<"), OK)

    assert done.result == TransferOk(ID)
    assert set(done.sent) == {Sent("POST", PATH, msgspec.json.encode(REQUEST), ID)}
    assert len(done.sent) == 5
    assert done.waits[0] == "connection reset"
    assert len(done.waits) == 4


def test_retry_after_is_honoured() -> None:
    assert request(reply(503, wait_s=7), OK).elapsed_s == 7
    assert request(BUSY, BUSY, BUSY, OK).elapsed_s == 0.5 + 1 + 2


def test_without_time_or_requests_left_the_outcome_is_pending() -> None:
    late = request(reply(429, wait_s=60), OK)
    assert (len(late.sent), late.elapsed_s) == (1, 0)
    assert late.result == TransferPending(ID, "status 429", accepted=False)

    never = request(LOST, wait_s=1e6)
    assert len(never.sent) == REQUESTS_MAX
    assert never.result == TransferPending(ID, "connection reset", accepted=False)


def test_a_refusal_is_an_error_only_without_an_earlier_request() -> None:
    """After a request without a reply, 401 says nothing about that request."""
    assert isinstance(request(reply(401)).result, AccessError)

    unknown = request(LOST, reply(401)).result
    assert isinstance(unknown, TransferPending)
    assert not unknown.accepted
    assert isinstance(unknown.refused, AccessError)


@pytest.mark.parametrize("earlier", [(), (LOST,)], ids=["first", "after a lost reply"])
def test_an_id_of_another_transfer_is_no_failure(earlier: tuple[NoReplyError, ...]) -> None:
    """That one may have moved the money: "failed, use a new id" would move it again."""
    assert isinstance(request(*earlier, reply(422, code="key_reused")).result, KeyReusedError)


def test_a_422_of_a_proxy_says_nothing_about_an_earlier_request() -> None:
    unknown = request(LOST, HttpReply(422, b"<html>")).result

    assert isinstance(unknown, TransferPending)
    assert not unknown.accepted


def test_an_accepted_transfer_is_polled_until_it_is_finished() -> None:
    done = request(PENDING, PENDING, LOST, BUSY, OK)

    assert done.result == TransferOk(ID)
    assert [s.method for s in done.sent] == ["POST", "GET", "GET", "GET", "GET"]
    assert {s.path for s in done.sent[1:]} == {f"{PATH}/t-1"}


@pytest.mark.parametrize(
    "given", [reply(404, code="treasury.not_found"), reply(400), reply(503, wait_s=3600)], ids=repr
)
def test_an_accepted_transfer_stays_pending_until_it_is_finished(given: HttpReply) -> None:
    result = request(PENDING, given).result

    assert isinstance(result, TransferPending)
    assert result.accepted


def test_without_the_read_scope_the_post_is_repeated() -> None:
    done = request(PENDING, reply(403), PENDING, OK)

    assert done.result == TransferOk(ID)
    assert [s.method for s in done.sent] == ["POST", "GET", "POST", "POST"]
    assert {s.key for s in done.sent if s.method == "POST"} == {ID}


def test_finding_a_transfer_sends_nothing_that_could_move_money() -> None:
    def find(*replies: HttpReply | NoReplyError) -> Outcome:
        return call(lambda client: client.find(ID), *replies)

    found = find(LOST, PENDING, BUSY, OK)
    assert found.result == TransferOk(ID)
    assert {(s.method, s.body) for s in found.sent} == {("GET", None)}
    assert isinstance(find(LOST, reply(404, code="treasury.not_found")).result, NotFoundError)

    no_access = find(PENDING, reply(403))
    assert isinstance(no_access.result, TransferPending)
    assert {s.method for s in no_access.sent} == {"GET"}


@for_any(text=st.text(max_size=140) | st.from_regex(TRANSFER_ID_PATTERN))
def test_an_id_is_refused_before_anything_is_sent_where_the_service_would_refuse_it(
    text: str,
) -> None:
    try:
        parse_transfer_id(text)
    except InvalidValueError:
        with pytest.raises(ValueError, match="a transfer id has 1 to 128"):
            replace(REQUEST, transfer_id=text)
    else:
        assert replace(REQUEST, transfer_id=text).transfer_id == text
