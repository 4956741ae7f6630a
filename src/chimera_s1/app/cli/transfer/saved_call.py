"""Requests a saved transfer: each request is counted on disk before it is sent."""

from typing import TypeAlias, assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers
from chimera_s1.domain.ports.clock import Clock
from chimera_s1_client import (
    HttpReply,
    KeyReusedError,
    NotFoundError,
    ProblemError,
    TransferClient,
    TransferFailed,
    TransferOk,
    TransferPending,
    TransferRequest,
    TransferResult,
    Wallet,
)
from chimera_s1_client.transfer import NOT_FOUND_CODE
from chimera_s1_client.transfer_client import SendRequest, WaitListener

RESEND_MAX_AGE_MS = 600_000
"""A request that was never accepted is not sent again when it is older than this."""

CallResult: TypeAlias = TransferResult | ProblemError
"""An error: the only request ever sent was refused, or an old one was never accepted."""


class SavedCallOutcome(Struct, frozen=True):
    """How the requests ended.

    Attributes:
        saved: As it is on disk now.
        body: Of the last reply; empty without one.
    """

    saved: SavedTransfer
    result: CallResult
    body: bytes


class SavedTransferCall:
    """Requests one transfer.

    Args:
        saved: On disk already, with the first request counted.
        send: Reaches the service.
        on_wait: Gets the cause of each wait.
        wait_s: For how long to send requests; the first is sent in any case.
    """

    def __init__(
        self,
        saved: SavedTransfer,
        files: SavedTransfers,
        send: SendRequest,
        *,
        on_wait: WaitListener,
        wait_s: float,
    ) -> None:
        self._saved = saved
        self._files = files
        self._send = send
        self._client = TransferClient(self._send_counted, on_wait=on_wait)
        self._wait_s = wait_s
        self._counted = True
        self._body = b""

    async def run(self) -> SavedCallOutcome:
        """Request the transfer, and poll it until it is finished or the time is over."""
        try:
            return self._finish(await self._client.transfer(self._request(), wait_s=self._wait_s))
        except ProblemError as error:
            return self._finish(self._refused(error))

    async def resume(self, clock: Clock) -> SavedCallOutcome:
        """Continue an earlier run. A transfer that is too old is only looked up, never sent."""
        self._counted = False
        if clock.now_ms() - self._saved.saved_at <= RESEND_MAX_AGE_MS:
            return await self.run()
        transfer_id = self._saved.transfer_id
        try:
            return self._finish(await self._client.find(transfer_id, wait_s=self._wait_s))
        except ProblemError as error:
            if error.problem.code == NOT_FOUND_CODE:
                return self._finish(error)
            # A refused lookup says nothing about the request that was sent.
            return self._finish(_unknown(transfer_id, error))

    async def _send_counted(
        self, method: str, path: str, body: bytes | None, key: str
    ) -> HttpReply:
        if method == "POST":
            if not self._counted:
                self._save(replace(self._saved, attempts=self._saved.attempts + 1))
            self._counted = False
        reply = await self._send(method, path, body, key)
        self._body = reply.body
        return reply

    def _request(self) -> TransferRequest:
        body = self._saved.body
        return TransferRequest(
            transfer_id=body.transfer_id,
            source=Wallet(body.source.value),
            target=Wallet(body.target.value),
            amount_usdt=body.amount_usdt,
            reason=body.reason,
        )

    def _refused(self, error: ProblemError) -> CallResult:
        """Final only where no earlier request can be accepted later."""
        if self._saved.attempts == 1 or isinstance(error, KeyReusedError):
            return error
        return _unknown(self._saved.transfer_id, error)

    def _finish(self, result: CallResult) -> SavedCallOutcome:
        match result:
            case TransferOk(message=message):
                self._save(replace(self._saved, result="OK", message=message))
            case TransferFailed(message=message):
                self._save(replace(self._saved, result="FAIL", message=message))
            case NotFoundError():
                self._save(replace(self._saved, result="FAIL", message="never accepted"))
            case ProblemError():
                self._save(replace(self._saved, result="FAIL", message=str(result)))
            case TransferPending():
                pass
            case _:
                assert_never(result)
        return SavedCallOutcome(self._saved, result, self._body)

    def _save(self, saved: SavedTransfer) -> None:
        self._saved = saved
        self._files.save(saved)


def _unknown(transfer_id: str, error: ProblemError) -> TransferPending:
    return TransferPending(transfer_id, str(error), accepted=False, refused=error)


def json_body(outcome: SavedCallOutcome, result: str) -> str:
    """The last reply's body where it is JSON; else a body of the same shape."""
    try:
        msgspec.json.decode(outcome.body)
        return outcome.body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = str(getattr(outcome.result, "message", outcome.result))
        shown = {
            "transfer_id": outcome.saved.transfer_id,
            "result": result,
            "message": message,
        }
        return msgspec.json.encode(shown).decode()
