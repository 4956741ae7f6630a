"""The one request that moves money: signed before, sent once, on a connection of its own.

A connection that was used before may have been closed by the other side while idle, which would
turn a request that never arrived into one of which nothing is known. So there is no keep-alive
here, and no retry, no redirect, no proxy from the environment.
"""

import os
import socket
import ssl
from hashlib import sha256
from typing import NoReturn

import anyio
import httpx2

from chimera_s1.adapters.binance.http.options import HttpTimeouts
from chimera_s1.adapters.binance.http.reply_classification import classify_transfer_reply, sanitize
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encode_parameters
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyNotProcessed,
    ReplyUnknown,
    RequestNotSent,
    SignedTransfer,
    SubmissionReply,
)

REPLY_BYTES_MAX = 65_536

_NOT_SENT_ERRORS = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
"""httpx2 raises these, and only these, before it has a connection to write to: name, TCP or TLS."""


class BinanceSignedTransfer:
    """A `SignedTransfer`: the body to send, which is given out once."""

    __slots__ = ("__body", "_request_hash")

    def __init__(self, body: bytes, request_hash: str) -> None:
        self.__body: bytes | None = body
        self._request_hash = request_hash

    @property
    def request_hash(self) -> str:
        """SHA-256 of what was signed."""
        return self._request_hash

    def take_body(self) -> bytes:
        """The body.

        Raises:
            RuntimeError: It was taken before.
        """
        body, self.__body = self.__body, None
        if body is None:
            raise RuntimeError("this transfer was already sent; sign a new one for a new attempt")
        return body

    def __repr__(self) -> str:
        return f"<signed transfer {self._request_hash[:12]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signed transfer does not leave the process")


class _PartialReply:
    """The reply as far as it came; `complete` once all of it did."""

    def __init__(self) -> None:
        self.status = 0
        self.headers = httpx2.Headers()
        self.body = b""
        self.complete = False


class TransferSender:
    """Signs and sends to one address of one host."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        budget: WeightBudget,
        *,
        timeouts: HttpTimeouts,
        ssl_context: ssl.SSLContext,
    ) -> None:
        """Args:
        url: Where to, without a query.

        signer: Signs each request.

        budget: The host's.

        timeouts: Of one request.

        ssl_context: Whose certificates are believed.
        """
        self._url = url
        self._signer = signer
        self._budget = budget
        self._timeouts = timeouts
        self._ssl_context = ssl_context

    def sign(self, parameters: Parameters) -> BinanceSignedTransfer:
        """Make the request; *parameters* go into its body in their order."""
        payload = encode_parameters(parameters)
        digest = sha256(payload.encode("ascii")).hexdigest()
        return BinanceSignedTransfer(self._signer.sign(payload), digest)

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        """Send *signed*, unless the host has asked everybody to stay away.

        Raises:
            RuntimeError: It was submitted before.

            TypeError: It was signed elsewhere.
        """
        if not isinstance(signed, BinanceSignedTransfer):
            raise TypeError("a gateway sends what it has signed itself")
        body = signed.take_body()
        away_ms = self._budget.blocked_ms()
        if away_ms > 0:
            return ReplyNotProcessed(
                "not asked: the exchange wants us to stay away", round(away_ms)
            )
        return await self._send(body)

    async def _send(self, body: bytes) -> SubmissionReply:
        heard = _PartialReply()
        cause = "no complete reply"
        try:
            with anyio.fail_after(self._timeouts.total_s):
                await self._exchange(body, heard)
        except _NOT_SENT_ERRORS as error:
            return RequestNotSent(_error_text(error))
        except TimeoutError:
            cause = f"no complete reply within {self._timeouts.total_s:g} s"
        except Exception as error:  # noqa: BLE001 (whatever it is, the request may have left)
            cause = _error_text(error)
        return self._classify(heard, cause)

    async def _exchange(self, body: bytes, partial: _PartialReply) -> None:
        headers = {
            **self._signer.headers(),
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with (
            self._fresh_client() as client,
            client.stream("POST", self._url, content=body, headers=headers) as reply,
        ):
            partial.status, partial.headers = reply.status_code, reply.headers
            async for piece in reply.aiter_bytes():
                partial.body += piece
                if len(partial.body) > REPLY_BYTES_MAX:
                    return
            partial.complete = True

    def _classify(self, partial: _PartialReply, cause: str) -> SubmissionReply:
        if partial.status:
            self._budget.record_reply(partial.status, partial.headers)
        if not partial.complete:
            return ReplyUnknown(f"{partial.status} {cause}" if partial.status else cause)
        reply = classify_transfer_reply(partial.status, partial.body, partial.headers)
        if isinstance(reply, ReplyNotProcessed):
            self._budget.block(reply.retry_after_ms)
        return reply

    def _fresh_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=self._ssl_context,
            timeout=self._timeouts.as_httpx(),
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )


def _error_text(error: Exception) -> str:
    """With the system's own word, which httpx2 leaves to the causes: `Connection refused`."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return sanitize(f"{text} ({_os_error_text(cause)})")
        cause = cause.__cause__ or cause.__context__
    return sanitize(text)


def _os_error_text(error: OSError) -> str:
    if isinstance(error, ssl.SSLError | socket.gaierror):
        return error.strerror or str(error)  # numbered by themselves
    return os.strerror(error.errno or 0)
