"""Asking for a transfer until there is an answer: kept first, sent then, and asked again with the
same id after whatever is not an answer.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.cli.transfer.replies import (
    ReplyMeaning,
    RequestRejected,
    RetryNeeded,
    TransferFinished,
    TransferPending,
    TransferUnknown,
    interpret_reply,
)
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers
from chimera_s1.app.cli.transfer.service_client import HttpRequestError, SendRequest
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

PATH = "/xchg/treasury/transfer"
REQUESTS_MAX = 30
RESEND_MAX_AGE_MS = 600_000
"""A wish that was never accepted must not come true any more after this."""

RETRY_BACKOFF = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=250)
POLL_BACKOFF = Backoff(base_ms=500, max_wait_ms=2_000, jitter_ms=100)

_SendRequest: TypeAlias = Callable[[], Awaitable[ReplyMeaning]]


class TransferClientResult(Struct, frozen=True):
    """How asking has ended.

    Attributes:
        saved: As it is kept now.

        meaning: The last one; `Again` and `TransferPending` where time ran out, `TransferUnknown`
            where the service has never accepted it and it is too old to be sent now.

        body: The last answer; empty where there was none.
    """

    saved: SavedTransfer
    meaning: ReplyMeaning
    body: bytes


class TransferClient:
    """One transfer.

    Args:
        kept: Is on the disk already.

        saved_transfers: Where.

        requests: To its service.

        clock: Time and waiting.

        draw: Uniform in [0, 1).

        print_status: Tells people what happens.

        wait_ms: How long to ask; the first request is made in any case.
    """

    def __init__(
        self,
        kept: SavedTransfer,
        saved_transfers: SavedTransfers,
        requests: SendRequest,
        *,
        clock: Clock,
        draw: Callable[[], float],
        print_status: Callable[[str], None],
        wait_ms: float,
    ) -> None:
        self._kept = kept
        self._keeping = saved_transfers
        self._requests = requests
        self._clock = clock
        self._draw = draw
        self._say = print_status
        self._until_ms = clock.monotonic_ms() + wait_ms
        self._tries = 0
        self._may_read = True
        self._body = b""

    async def run(self) -> TransferClientResult:
        """Ask for it until it is over or time is."""
        return self._finish(
            await self._poll_until_finished(await self._retry_until_definite(self._send))
        )

    async def resume(self) -> TransferClientResult:
        """Go on where an earlier `ask` has stopped. One that is stale is looked for,
        and not sent.
        """
        if self._clock.now_ms() - self._kept.kept_at <= RESEND_MAX_AGE_MS:
            self._count_request()
            return await self.run()
        verdict = await self._retry_until_definite(self._read_status)
        return self._finish(await self._poll_until_finished(verdict))

    async def _send(self) -> ReplyMeaning:
        kept = self._kept
        body = msgspec.json.encode(kept.body)
        return await self._request("POST", PATH, body, kept.transfer_id)

    async def _read_status(self) -> ReplyMeaning:
        name = quote(self._kept.transfer_id, safe=":@+=,~")
        return await self._request("GET", f"{PATH}/{name}")

    async def _retry_until_definite(self, ask: _SendRequest) -> ReplyMeaning:
        """The first answer that says something; `Again` where time or tries are over."""
        retries = 0
        while True:
            verdict = await ask()
            if not isinstance(verdict, RetryNeeded):
                return verdict
            wait_ms = max(RETRY_BACKOFF.wait_ms(retries, self._draw()), verdict.wait_ms)
            if not self._has_time(wait_ms):
                return verdict
            self._say(
                f"{verdict.cause}; asking again with the same id in {wait_ms / 1000:.1f} s, which "
                "is safe: one id moves money once"
            )
            await self._clock.sleep_ms(wait_ms)
            retries += 1
            if ask == self._send:
                self._count_request()

    async def _poll_until_finished(self, verdict: ReplyMeaning) -> ReplyMeaning:
        """Look what becomes of an accepted one; nothing but its end ends it, apart from time."""
        looks = 0
        while isinstance(verdict, TransferPending):
            wait_ms = POLL_BACKOFF.wait_ms(looks, self._draw())
            if not self._has_time(wait_ms):
                return verdict
            if looks == 0:
                self._say("accepted, and not over: looking what becomes of it")
            await self._clock.sleep_ms(wait_ms)
            looks += 1
            found = await self._retry_until_definite(
                self._read_status if self._may_read else self._send
            )
            match found:
                case TransferFinished() | TransferPending():
                    verdict = found
                case RequestRejected(forbidden=True) if self._may_read:
                    # A token for transfers alone cannot look, and asking again tells as well.
                    self._may_read = False
                case RequestRejected(cause=cause) | RetryNeeded(cause=cause):
                    return TransferPending(cause)
                case TransferUnknown():
                    return TransferPending("it was accepted, and the service does not know it now")
                case _:
                    assert_never(found)
        return verdict

    async def _request(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> ReplyMeaning:
        self._tries += 1
        try:
            reply = await self._requests(method, path, body, key)
        except HttpRequestError as error:
            return RetryNeeded(f"{self._kept.url} gave no answer ({error})")
        self._body = reply.body
        return interpret_reply(reply, self._kept.transfer_id)

    def _has_time(self, wait_ms: float) -> bool:
        return self._tries < REQUESTS_MAX and self._clock.monotonic_ms() + wait_ms <= self._until_ms

    def _count_request(self) -> None:
        self._save(replace(self._kept, asked=self._kept.asked + 1))

    def _finish(self, verdict: ReplyMeaning) -> TransferClientResult:
        match verdict:
            case TransferFinished(result=result, message=message):
                self._save(replace(self._kept, result=result, message=message))
            case RequestRejected(cause=cause):
                if self._kept.asked == 1:
                    # The one request there ever was: nothing of it can be accepted later.
                    self._save(replace(self._kept, result="FAIL", message=cause))
            case TransferUnknown():
                self._save(replace(self._kept, result="FAIL", message="never accepted"))
            case TransferPending() | RetryNeeded():
                pass
            case _:
                assert_never(verdict)
        return TransferClientResult(self._kept, verdict, self._body)

    def _save(self, kept: SavedTransfer) -> None:
        self._kept = kept
        self._keeping.save(kept)
