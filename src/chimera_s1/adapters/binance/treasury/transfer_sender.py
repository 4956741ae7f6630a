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

from chimera_s1.adapters.binance.http.options import Deadlines
from chimera_s1.adapters.binance.http.reply_classification import classify, harmless
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encoded
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.ports.treasury_gateway import (
    NotSent,
    Reply,
    SignedTransfer,
    TurnedAway,
    Unknown,
)

REPLY_BYTES_MAX = 65_536

_NOTHING_LEFT = (
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

    def take(self) -> bytes:
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


class _Heard:
    """The reply as far as it came; `complete` once all of it did."""

    def __init__(self) -> None:
        self.status = 0
        self.headers = httpx2.Headers()
        self.body = b""
        self.complete = False


class TransferPost:
    """Signs and sends to one address of one host."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        budget: WeightBudget,
        *,
        deadlines: Deadlines,
        authorities: ssl.SSLContext,
    ) -> None:
        """Args:
        url: Where to, without a query.

        signer: Signs each request.

        budget: The host's.

        deadlines: Of one request.

        authorities: Whose certificates are believed.
        """
        self._url = url
        self._signer = signer
        self._budget = budget
        self._deadlines = deadlines
        self._authorities = authorities

    def sign(self, parameters: Parameters) -> BinanceSignedTransfer:
        """Make the request; *parameters* go into its body in their order."""
        payload = encoded(parameters)
        digest = sha256(payload.encode("ascii")).hexdigest()
        return BinanceSignedTransfer(self._signer.signed(payload), digest)

    async def submit(self, signed: SignedTransfer) -> Reply:
        """Send *signed*, unless the host has asked everybody to stay away.

        Raises:
            RuntimeError: It was submitted before.

            TypeError: It was signed elsewhere.
        """
        if not isinstance(signed, BinanceSignedTransfer):
            raise TypeError("a gateway sends what it has signed itself")
        body = signed.take()
        away_ms = self._budget.away_ms()
        if away_ms > 0:
            return TurnedAway("not asked: the exchange wants us to stay away", round(away_ms))
        return await self._send(body)

    async def _send(self, body: bytes) -> Reply:
        heard = _Heard()
        cause = "no complete reply"
        try:
            with anyio.fail_after(self._deadlines.total_s):
                await self._converse(body, heard)
        except _NOTHING_LEFT as error:
            return NotSent(_told(error))
        except TimeoutError:
            cause = f"no complete reply within {self._deadlines.total_s:g} s"
        except Exception as error:  # noqa: BLE001 (whatever it is, the request may have left)
            cause = _told(error)
        return self._reply(heard, cause)

    async def _converse(self, body: bytes, heard: _Heard) -> None:
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
            heard.status, heard.headers = reply.status_code, reply.headers
            async for piece in reply.aiter_bytes():
                heard.body += piece
                if len(heard.body) > REPLY_BYTES_MAX:
                    return
            heard.complete = True

    def _reply(self, heard: _Heard, cause: str) -> Reply:
        if heard.status:
            self._budget.note(heard.status, heard.headers)
        if not heard.complete:
            return Unknown(f"{heard.status} {cause}" if heard.status else cause)
        reply = classify(heard.status, heard.body, heard.headers)
        if isinstance(reply, TurnedAway):
            self._budget.stay_away(reply.wait_ms)
        return reply

    def _fresh_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=self._authorities,
            timeout=self._deadlines.timeout(),
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )


def _told(error: Exception) -> str:
    """With the system's own word, which httpx2 leaves to the causes: `Connection refused`."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return harmless(f"{text} ({_reason(cause)})")
        cause = cause.__cause__ or cause.__context__
    return harmless(text)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError | socket.gaierror):
        return error.strerror or str(error)  # numbered by themselves
    return os.strerror(error.errno or 0)
