"""The one request that moves money: signed first, sent once."""

from collections.abc import Callable
from typing import assert_never

from chimera_s1.adapters.binance.http.client import (
    HttpClient,
    HttpTimeouts,
    NoReply,
    NotAdmitted,
    NotSent,
    whole_wait_ms,
)
from chimera_s1.adapters.binance.http.signed_request import (
    BinanceSignedRequest,
    Method,
    RequestTarget,
)
from chimera_s1.adapters.binance.http.signing import Parameters, Signer
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.treasury.transfer_reply import classify_transfer_reply
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyNotProcessed,
    ReplyUnknown,
    RequestNotSent,
    SignedTransfer,
    SubmissionReply,
)


class TransferSender:
    """Signs and sends transfers to one path of the spot host."""

    def __init__(
        self,
        client: HttpClient,
        current_signer: Callable[[], Signer],
        path: str,
        call: RequestCall,
        timeouts: HttpTimeouts,
    ) -> None:
        self._client = client
        self._current_signer = current_signer
        self._target = RequestTarget(Method.POST, path, call)
        self._timeouts = timeouts

    def sign(self, parameters: Parameters) -> BinanceSignedRequest:
        """Make the request; *parameters* go into its body in their order."""
        return BinanceSignedRequest(self._target, parameters, self._current_signer())

    async def submit(self, signed: SignedTransfer, obstacle: Callable[[], str]) -> SubmissionReply:
        """Send *signed*, unless the host has no room for it, or *obstacle* says why not.

        Raises:
            RuntimeError: It was submitted before.
            TypeError: It was signed by another gateway.
        """
        if not isinstance(signed, BinanceSignedRequest) or signed.target != self._target:
            raise TypeError("transfer was signed by another gateway")
        reply = await self._client.send_once(
            Venue.SPOT, signed, timeouts=self._timeouts, obstacle=obstacle
        )
        match reply:
            case NotAdmitted(cause=cause, wait_ms=wait_ms):
                return ReplyNotProcessed(cause, whole_wait_ms(wait_ms))
            case HttpReply(status=status, headers=headers, body=content):
                return classify_transfer_reply(status, content, headers)
            case NotSent(cause=cause):
                return RequestNotSent(cause)
            case NoReply(cause=cause):
                return ReplyUnknown(cause)
            case _:
                assert_never(reply)
