"""Requests one transfer until the service gives a definite answer.

Only some replies are definite. After any other reply, or none, the same request is sent again with
the same id, which cannot move money twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never
from urllib.parse import quote

import msgspec
from msgspec import Struct

from chimera_s1_client.errors import AccessError, KeyReusedError, NoReplyError
from chimera_s1_client.http_session import HttpReply, HttpSession
from chimera_s1_client.transfer import (
    Rejected,
    ReplyMeaning,
    RetryNeeded,
    TransferFailed,
    TransferOk,
    TransferPending,
    TransferRequest,
    TransferResult,
    check_transfer_id,
    interpret_reply,
)

PATH = "/xchg/treasury/transfer"
REQUESTS_MAX = 30
"""In one call."""

SendRequest: TypeAlias = Callable[[str, str, bytes | None, str], Awaitable[HttpReply]]
"""Method, path, body, idempotency key; raises `NoReplyError` without a complete reply."""

WaitListener: TypeAlias = Callable[[str, float], None]
"""Gets the cause of a wait, and its length in s."""


class _Means(Struct, frozen=True):
    send: SendRequest
    on_wait: WaitListener
    draw: Callable[[], float]


class TransferClient:
    """Moves money between the wallets of the service's account.

        async with HttpSession(url, token) as session:
            result = await TransferClient(session).transfer(request)

    Args:
        service: A session with the service; or what sends one request.
        on_wait: Called before each wait.
        draw: Uniform in [0, 1).
    """

    def __init__(
        self,
        service: HttpSession | SendRequest,
        *,
        on_wait: WaitListener | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        send = service.send if isinstance(service, HttpSession) else service
        self._means = _Means(send, on_wait or _ignore_wait, draw)

    async def transfer(self, request: TransferRequest, *, wait_s: float = 30.0) -> TransferResult:
        """Request the transfer, and poll it until it is finished or *wait_s* are over.

        The first request is sent in any case. Calling this again with the same *request*, in
        another process too, continues: it never moves money twice.

        Raises:
            KeyReusedError: The id belongs to another transfer.
            ProblemError: The service refuses the request, and no earlier request of this call can
                have been accepted.
        """
        body = msgspec.json.encode(request)
        call = _Call(self._means, request.transfer_id, body, wait_s)
        return await call.run(call.post)

    async def find(self, transfer_id: str, *, wait_s: float = 30.0) -> TransferResult:
        """Poll a transfer that was requested earlier; nothing is sent that could move money.

        Raises:
            NotFoundError: The service has never accepted it.
            ProblemError: The token may not read.
        """
        check_transfer_id(transfer_id)
        call = _Call(self._means, transfer_id, None, wait_s)
        return await call.run(call.read)


class _Call:
    """One call: its time, its requests, and whether one of them may have been accepted unseen."""

    def __init__(self, means: _Means, transfer_id: str, body: bytes | None, wait_s: float) -> None:
        self._means = means
        self._id = transfer_id
        self._body = body
        self._until = _now_s() + wait_s
        self._requests = 0
        self._may_read = True

    async def post(self) -> ReplyMeaning:
        return await self._request("POST", PATH, self._body, self._id)

    async def read(self) -> ReplyMeaning:
        name = quote(self._id, safe=":@+=,~")
        return await self._request("GET", f"{PATH}/{name}", None, "")

    async def run(self, request: Callable[[], Awaitable[ReplyMeaning]]) -> TransferResult:
        meaning = await self._retry_until_definite(request)
        match meaning:
            case TransferOk() | TransferFailed():
                return meaning
            case TransferPending():
                return await self._poll_until_finished(meaning)
            case Rejected(error=KeyReusedError() as error):
                raise error  # earlier requests of this call had the same id
            case Rejected(error=error):
                if self._body is None or self._requests == 1:
                    raise error
                return TransferPending(self._id, str(error), accepted=False, refused=error)
            case RetryNeeded(cause=cause):
                return TransferPending(self._id, cause, accepted=False)
            case _:
                assert_never(meaning)

    async def _request(self, method: str, path: str, body: bytes | None, key: str) -> ReplyMeaning:
        self._requests += 1
        try:
            reply = await self._means.send(method, path, body, key)
        except NoReplyError as error:
            return RetryNeeded(str(error))
        return interpret_reply(reply, self._id)

    async def _retry_until_definite(
        self, request: Callable[[], Awaitable[ReplyMeaning]]
    ) -> ReplyMeaning:
        """The first definite answer; `RetryNeeded` when time or requests run out."""
        retries = 0
        while isinstance(meaning := await request(), RetryNeeded):
            wait_s = max(self._backoff_s(retries, 5.0, 0.25), meaning.wait_ms / 1000)
            if not self._has_time(wait_s):
                break
            await self._wait(meaning.cause, wait_s)
            retries += 1
        return meaning

    async def _poll_until_finished(self, pending: TransferPending) -> TransferResult:
        """Poll an accepted transfer: it ends by finishing or by running out of time."""
        polls = 0
        while self._has_time(wait_s := self._backoff_s(polls, 2.0, 0.1)):
            await self._wait("" if polls else "accepted and pending", wait_s)
            polls += 1
            read = self._may_read or self._body is None
            found = await self._retry_until_definite(self.read if read else self.post)
            match found:
                case TransferOk() | TransferFailed():
                    return found
                case TransferPending():
                    pending = found
                case Rejected(error=AccessError()) if self._may_read and self._body is not None:
                    # A token for transfers alone may not read; the same POST returns the state too.
                    self._may_read = False
                case Rejected(error=error):
                    return TransferPending(self._id, str(error))
                case RetryNeeded(cause=cause):
                    return TransferPending(self._id, cause)
                case _:
                    assert_never(found)
        return pending

    def _backoff_s(self, retries: int, max_wait_s: float, jitter_s: float) -> float:
        wait_s: float = min(max_wait_s, 0.5 * 2 ** min(retries, 10))
        return wait_s + self._means.draw() * jitter_s

    def _has_time(self, wait_s: float) -> bool:
        return _now_s() + wait_s <= self._until and self._requests < REQUESTS_MAX

    async def _wait(self, cause: str, wait_s: float) -> None:
        if cause:
            self._means.on_wait(cause, wait_s)
        await asyncio.sleep(wait_s)


def _now_s() -> float:
    """Monotonic."""
    return asyncio.get_running_loop().time()


def _ignore_wait(_: str, __: float) -> None:
    """The default of `on_wait`."""
