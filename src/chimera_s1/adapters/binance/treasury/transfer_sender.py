"""The one request that moves money: signed first, sent once."""

from collections.abc import Callable
from hashlib import sha256
from math import ceil, isfinite
from typing import NoReturn, assert_never

from chimera_s1.adapters.binance.http.client import (
    HttpClient,
    HttpReply,
    HttpTimeouts,
    NoReply,
    NotAdmitted,
    NotSent,
)
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encode_parameters
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

_NEVER_ROOM_WAIT_MS = 60_000
"""Where no wait makes room, because too many instances share the limit, their number may change."""


class BinanceSignedTransfer:
    """A `SignedTransfer`: the body to send, which is given out once."""

    __slots__ = ("__body", "_request_hash", "signer")

    def __init__(self, body: bytes, request_hash: str, signer: Signer) -> None:
        self.__body: bytes | None = body
        self._request_hash = request_hash
        self.signer = signer
        """Whose key the request is sent with, though another one may be in use by then."""

    @property
    def request_hash(self) -> str:
        """SHA-256 of the signed text, without the signature."""
        return self._request_hash

    def take_body(self) -> bytes:
        """Raises:
        RuntimeError: It was taken before.
        """
        body, self.__body = self.__body, None
        if body is None:
            raise RuntimeError("this transfer was already sent; sign a new one for a new attempt")
        return body

    def __repr__(self) -> str:
        return f"<signed transfer {self._request_hash[:12]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signed transfer cannot be pickled or copied")


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
        self._path = path
        self._call = call
        self._timeouts = timeouts

    def sign(self, parameters: Parameters) -> BinanceSignedTransfer:
        """Make the request; *parameters* go into its body in their order."""
        payload = encode_parameters(parameters)
        digest = sha256(payload.encode("ascii")).hexdigest()
        signer = self._current_signer()
        return BinanceSignedTransfer(signer.sign(payload), digest, signer)

    async def submit(self, signed: SignedTransfer, obstacle: Callable[[], str]) -> SubmissionReply:
        """Send *signed*, unless the host has no room for it, or *obstacle* says why not.

        Raises:
            RuntimeError: It was submitted before.
            TypeError: It was signed by another gateway.
        """
        if not isinstance(signed, BinanceSignedTransfer):
            raise TypeError("transfer was signed by another gateway")
        reply = await self._client.post_once(
            Venue.SPOT,
            self._path,
            signed.take_body(),
            call=self._call,
            signer=signed.signer,
            timeouts=self._timeouts,
            obstacle=obstacle,
        )
        match reply:
            case NotAdmitted(cause=cause, wait_ms=wait_ms):
                return ReplyNotProcessed(cause, _whole_ms(wait_ms))
            case HttpReply(status=status, headers=headers, body=content):
                return classify_transfer_reply(status, content, headers)
            case NotSent(cause=cause):
                return RequestNotSent(cause)
            case NoReply(cause=cause):
                return ReplyUnknown(cause)
            case _:
                assert_never(reply)


def _whole_ms(wait_ms: float) -> int:
    return ceil(wait_ms) if isfinite(wait_ms) else _NEVER_ROOM_WAIT_MS
