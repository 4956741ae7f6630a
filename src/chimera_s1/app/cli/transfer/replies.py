"""What an answer of the treasury API says about a transfer that was asked for.

Only some answers are definite. After every other one, and after none, the same request is made
again with the same id: that tells, and cannot move money twice.
"""

from http import HTTPStatus
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from chimera_s1.app.cli.transfer.service_client import HttpReply
from chimera_s1.domain.identifiers import TransferId

_RESULT_STATUSES = {HTTPStatus.OK, HTTPStatus.ACCEPTED}
_CLIENT_ERROR_STATUSES = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
_NOT_FOUND_CODE = "treasury.not_found"


class TransferFinished(Struct, frozen=True):
    """It is over."""

    result: Literal["OK", "FAIL"]
    message: str


class TransferPending(Struct, frozen=True):
    """It is accepted, and not over."""

    message: str


class RequestRejected(Struct, frozen=True):
    """The request was not taken, and will not be as it is.

    Attributes:
        by_state: It is the service's state that forbids it, not the request.

        forbidden: The token is not for this.
    """

    cause: str
    by_state: bool = False
    forbidden: bool = False


class TransferUnknown(Struct, frozen=True):
    """The service knows no transfer of that id."""


class RetryNeeded(Struct, frozen=True):
    """Nothing is certain: ask again.

    Attributes:
        wait_ms: Not before.
    """

    cause: str
    wait_ms: int = 0


ReplyMeaning: TypeAlias = (
    TransferFinished | TransferPending | RequestRejected | TransferUnknown | RetryNeeded
)


class _TransferReplyBody(Struct, frozen=True):
    transfer_id: str
    result: Literal["OK", "FAIL", "PENDING"]
    message: str = ""


class _Problem(Struct, frozen=True):
    code: str = ""
    detail: str = ""


def interpret_reply(reply: HttpReply, transfer_id: TransferId) -> ReplyMeaning:
    """What *reply* says about *transfer_id*."""
    problem = _problem(reply.body)
    status_and_code = f"{reply.status} {problem.code}".strip()
    cause = (
        f"{problem.detail} ({status_and_code})" if problem.detail else f"status {status_and_code}"
    )
    if reply.status in _RESULT_STATUSES:
        return _interpret_result(reply, transfer_id)
    if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return TransferFinished("FAIL", cause)
    if reply.status == HTTPStatus.NOT_FOUND and problem.code == _NOT_FOUND_CODE:
        return TransferUnknown()
    if reply.status == HTTPStatus.CONFLICT or reply.status in _CLIENT_ERROR_STATUSES:
        return RequestRejected(
            cause,
            by_state=reply.status == HTTPStatus.CONFLICT,
            forbidden=reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN},
        )
    return RetryNeeded(cause, reply.retry_after_ms)


def _interpret_result(reply: HttpReply, transfer_id: TransferId) -> ReplyMeaning:
    try:
        answer = msgspec.json.decode(reply.body, type=_TransferReplyBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RetryNeeded(f"status {reply.status} with an answer that is none of the treasury's")
    if answer.transfer_id != transfer_id:
        return RetryNeeded("an answer about another transfer")
    if answer.result == "PENDING":
        return TransferPending(answer.message)
    return TransferFinished(answer.result, answer.message)


def _problem(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Problem()
