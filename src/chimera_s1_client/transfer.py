"""A transfer, its results, and what a reply of the service says about it."""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from chimera_s1_client.errors import KEY_REUSED_CODE, Problem, ProblemError, problem_error
from chimera_s1_client.http_session import HttpReply

NOT_FOUND_CODE = "treasury.not_found"
_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._:~@+=,-]{0,127}")

_REJECTED_STATUSES = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}


class Wallet(StrEnum):
    SPOT = "SPOT"
    FUT = "FUT"


class TransferRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /xchg/treasury/transfer`.

    Attributes:
        transfer_id: The idempotency key, 1 to 128 characters. Store it with the request before the
            first call, and never use another one for the same request.
        amount_usdt: Exact decimal text.
    """

    transfer_id: str
    source: Wallet = field(name="from")
    target: Wallet = field(name="to")
    amount_usdt: str
    reason: str = ""

    def __post_init__(self) -> None:
        check_transfer_id(self.transfer_id)


def check_transfer_id(text: str) -> None:
    """Raises `ValueError` if *text* cannot be an id: it would not pass a header or a URL whole."""
    if _ID.fullmatch(text) is None:
        raise ValueError(
            "a transfer id has 1 to 128 letters, digits or any of . _ : ~ @ + = , - and begins "
            "with a letter or a digit; for example a UUID"
        )


class TransferOk(Struct, frozen=True):
    """The money has moved."""

    transfer_id: str
    message: str = ""


class TransferFailed(Struct, frozen=True):
    """The money has not moved, and will not. A new request needs a new id.

    Attributes:
        code: The rule that refused it; empty where the exchange did not move the money.
    """

    transfer_id: str
    message: str
    code: str = ""


class TransferPending(Struct, frozen=True):
    """Not final: ask for the same transfer again, with the same id, later.

    Attributes:
        accepted: The service has accepted it. False: no reply says whether it has.
        refused: The last reply refused the request, but an earlier one may have been accepted.
    """

    transfer_id: str
    message: str
    accepted: bool = True
    refused: ProblemError | None = None


TransferResult: TypeAlias = TransferOk | TransferFailed | TransferPending
"""Every result that a call can have; anything else is an error."""


class Rejected(Struct, frozen=True):
    """The service refuses this request as it is."""

    error: ProblemError


class RetryNeeded(Struct, frozen=True):
    """The outcome is unknown: send the same request again, after *wait_ms* at the earliest."""

    cause: str
    wait_ms: int = 0


ReplyMeaning: TypeAlias = TransferResult | Rejected | RetryNeeded


class _TransferReply(Struct, frozen=True):
    transfer_id: str
    result: Literal["OK", "FAIL", "PENDING"]
    message: str = ""


class _ProblemDocument(Struct, frozen=True):
    code: str = ""
    detail: str = ""


def interpret_reply(reply: HttpReply, transfer_id: str) -> ReplyMeaning:
    """The meaning of *reply* for *transfer_id*. The status decides: the body of a problem says FAIL
    even where the outcome is unknown.
    """
    if reply.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        return _interpret_result(reply, transfer_id)
    problem = read_problem(reply)
    if _refused_by_rule(problem):
        return TransferFailed(transfer_id, str(problem), problem.code)
    if reply.status in _REJECTED_STATUSES:
        return Rejected(problem_error(problem))
    return RetryNeeded(str(problem), problem.retry_after_ms)


def _refused_by_rule(problem: Problem) -> bool:
    """A rule's answer is stored under the id. `key_reused` says nothing about the transfer that has
    the id, and a 422 without a code is not from the service.
    """
    by_rule = problem.code not in {"", KEY_REUSED_CODE}
    return problem.status == HTTPStatus.UNPROCESSABLE_ENTITY and by_rule


def read_problem(reply: HttpReply) -> Problem:
    try:
        document = msgspec.json.decode(reply.body, type=_ProblemDocument)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = _ProblemDocument()
    return Problem(reply.status, document.code, document.detail, reply.retry_after_ms)


def _interpret_result(reply: HttpReply, transfer_id: str) -> ReplyMeaning:
    try:
        answer = msgspec.json.decode(reply.body, type=_TransferReply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RetryNeeded(f"status {reply.status} with a body that is not a transfer result")
    if answer.transfer_id != transfer_id:
        return RetryNeeded("the reply is about another transfer")
    match answer.result:
        case "OK":
            return TransferOk(transfer_id, answer.message)
        case "FAIL":
            return TransferFailed(transfer_id, answer.message)
        case "PENDING":
            return TransferPending(transfer_id, answer.message)
