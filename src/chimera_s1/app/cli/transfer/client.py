"""Requests one transfer until the service gives a definite answer.

Only some replies are definite. After any other reply, or none, the same request is sent again with
the same id, which cannot move money twice.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal, TypeAlias, assert_never
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.cli.shared.http_client import HttpReply, HttpRequestError
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

PATH = "/xchg/treasury/transfer"
REQUESTS_MAX = 30
RESEND_MAX_AGE_MS = 600_000
"""A request that was never accepted is not sent again when it is older than this."""

RETRY_BACKOFF = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=250)
POLL_BACKOFF = Backoff(base_ms=500, max_wait_ms=2_000, jitter_ms=100)

_REJECTED_STATUSES = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}

SendRequest: TypeAlias = Callable[[str, str, bytes | None, str], Awaitable[HttpReply]]
"""Method, path, body, idempotency key; raises `HttpRequestError` without a complete reply."""


class TransferFinished(Struct, frozen=True):
    result: Literal["OK", "FAIL"]
    message: str


class TransferPending(Struct, frozen=True):
    """The service has accepted the transfer and has not finished it."""

    message: str


class RequestRejected(Struct, frozen=True):
    """The service refuses the request as it is.

    Attributes:
        by_state: The service's state forbids it, not the request itself.
        forbidden: The token lacks the scope.
    """

    cause: str
    by_state: bool = False
    forbidden: bool = False


class TransferUnknown(Struct, frozen=True):
    """The service has no transfer with this id."""


class RetryNeeded(Struct, frozen=True):
    """The outcome is unknown: send the same request again, after *wait_ms* at the earliest."""

    cause: str
    wait_ms: int = 0


ReplyMeaning: TypeAlias = (
    TransferFinished | TransferPending | RequestRejected | TransferUnknown | RetryNeeded
)


class _TransferReply(Struct, frozen=True):
    transfer_id: str
    result: Literal["OK", "FAIL", "PENDING"]
    message: str = ""


class _Problem(Struct, frozen=True):
    code: str = ""
    detail: str = ""


def interpret_reply(reply: HttpReply, transfer_id: TransferId) -> ReplyMeaning:
    """The meaning of *reply* for *transfer_id*."""
    if reply.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        return _interpret_result(reply, transfer_id)
    problem = _problem(reply.body)
    status = f"{reply.status} {problem.code}".strip()
    cause = f"{problem.detail} ({status})" if problem.detail else f"status {status}"
    if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return TransferFinished("FAIL", cause)
    if reply.status == HTTPStatus.NOT_FOUND and problem.code == "treasury.not_found":
        return TransferUnknown()
    if reply.status in _REJECTED_STATUSES:
        return RequestRejected(
            cause,
            by_state=reply.status == HTTPStatus.CONFLICT,
            forbidden=reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN},
        )
    return RetryNeeded(cause, reply.retry_after_ms)


def _interpret_result(reply: HttpReply, transfer_id: TransferId) -> ReplyMeaning:
    try:
        answer = msgspec.json.decode(reply.body, type=_TransferReply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RetryNeeded(f"status {reply.status} with a body that is not a transfer result")
    if answer.transfer_id != transfer_id:
        return RetryNeeded("the reply is about another transfer")
    if answer.result == "PENDING":
        return TransferPending(answer.message)
    return TransferFinished(answer.result, answer.message)


def _problem(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Problem()


class TransferClientResult(Struct, frozen=True):
    """How the requests ended.

    Attributes:
        saved: As it is on disk now.
        meaning: Of the last reply. `RetryNeeded` and `TransferPending`: the time or the requests
            ran out. `TransferUnknown`: never accepted, and too old to be sent now.
        body: Of the last reply; empty without one.
    """

    saved: SavedTransfer
    meaning: ReplyMeaning
    body: bytes


class TransferClient:
    """Requests one transfer.

    Args:
        saved: On disk already.
        saved_transfers: The files.
        send: Reaches the service.
        clock: Time and waiting.
        draw: Uniform in [0, 1).
        print_status: Prints progress for people.
        wait_ms: For how long to send requests; the first is sent in any case.
    """

    def __init__(
        self,
        saved: SavedTransfer,
        saved_transfers: SavedTransfers,
        send: SendRequest,
        *,
        clock: Clock,
        draw: Callable[[], float],
        print_status: Callable[[str], None],
        wait_ms: float,
    ) -> None:
        self._saved = saved
        self._files = saved_transfers
        self._send = send
        self._clock = clock
        self._draw = draw
        self._print_status = print_status
        self._until_ms = clock.monotonic_ms() + wait_ms
        self._requests = 0
        self._may_read = True
        self._body = b""

    async def run(self) -> TransferClientResult:
        """Request the transfer, and poll it until it is finished or the time is over."""
        return await self._finish(await self._retry_until_definite(self._post))

    async def resume(self) -> TransferClientResult:
        """Continue an earlier run. A transfer that is too old is only looked up, never sent."""
        if self._clock.now_ms() - self._saved.saved_at <= RESEND_MAX_AGE_MS:
            self._count_attempt()
            return await self.run()
        return await self._finish(await self._retry_until_definite(self._read))

    async def _post(self) -> ReplyMeaning:
        body = msgspec.json.encode(self._saved.body)
        return await self._request("POST", PATH, body, self._saved.transfer_id)

    async def _read(self) -> ReplyMeaning:
        name = quote(self._saved.transfer_id, safe=":@+=,~")
        return await self._request("GET", f"{PATH}/{name}", None, "")

    async def _request(self, method: str, path: str, body: bytes | None, key: str) -> ReplyMeaning:
        self._requests += 1
        try:
            reply = await self._send(method, path, body, key)
        except HttpRequestError as error:
            return RetryNeeded(f"no reply from {self._saved.url} ({error})")
        self._body = reply.body
        return interpret_reply(reply, self._saved.transfer_id)

    async def _retry_until_definite(
        self, request: Callable[[], Awaitable[ReplyMeaning]]
    ) -> ReplyMeaning:
        """The first definite answer; `RetryNeeded` when time or requests run out."""
        retries = 0
        while isinstance(meaning := await request(), RetryNeeded):
            wait_ms = max(RETRY_BACKOFF.wait_ms(retries, self._draw()), meaning.wait_ms)
            if not self._has_time(wait_ms):
                break
            self._print_status(
                f"{meaning.cause}; retrying with the same id in {wait_ms / 1000:.1f} s, which is "
                "safe: one id moves money once"
            )
            await self._clock.sleep_ms(wait_ms)
            retries += 1
            if request == self._post:
                self._count_attempt()
        return meaning

    async def _poll_until_finished(self, pending: TransferPending) -> ReplyMeaning:
        """Poll an accepted transfer: it ends by finishing or by running out of time."""
        polls = 0
        while self._has_time(wait_ms := POLL_BACKOFF.wait_ms(polls, self._draw())):
            if not polls:
                self._print_status("accepted and pending; polling until it is finished")
            await self._clock.sleep_ms(wait_ms)
            polls += 1
            found = await self._retry_until_definite(self._read if self._may_read else self._post)
            match found:
                case TransferFinished():
                    return found
                case TransferPending():
                    pending = found
                case RequestRejected(forbidden=True) if self._may_read:
                    # A token for transfers alone may not read; the same POST returns the state too.
                    self._may_read = False
                case RequestRejected(cause=cause) | RetryNeeded(cause=cause):
                    return TransferPending(cause)
                case TransferUnknown():
                    return TransferPending("it was accepted, but the service does not find it now")
                case _:
                    assert_never(found)
        return pending

    def _has_time(self, wait_ms: float) -> bool:
        in_time = self._clock.monotonic_ms() + wait_ms <= self._until_ms
        return in_time and self._requests < REQUESTS_MAX

    def _count_attempt(self) -> None:
        self._save(replace(self._saved, attempts=self._saved.attempts + 1))

    async def _finish(self, meaning: ReplyMeaning) -> TransferClientResult:
        if isinstance(meaning, TransferPending):
            meaning = await self._poll_until_finished(meaning)
        match meaning:
            case TransferFinished(result=result, message=message):
                self._save(replace(self._saved, result=result, message=message))
            case RequestRejected(cause=cause):
                if self._saved.attempts == 1:
                    # The only request ever sent: none can be accepted later.
                    self._save(replace(self._saved, result="FAIL", message=cause))
            case TransferUnknown():
                self._save(replace(self._saved, result="FAIL", message="never accepted"))
            case TransferPending() | RetryNeeded():
                pass
            case _:
                assert_never(meaning)
        return TransferClientResult(self._saved, meaning, self._body)

    def _save(self, saved: SavedTransfer) -> None:
        self._saved = saved
        self._files.save(saved)
