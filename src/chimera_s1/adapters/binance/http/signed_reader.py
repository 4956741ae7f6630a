"""Signed GET requests to one host."""

from typing import TypeVar, assert_never

import anyio
import httpx2
import msgspec

from chimera_s1.adapters.binance.http.options import ExchangeClock
from chimera_s1.adapters.binance.http.reply_classification import classify_transfer_reply, sanitize
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encode_parameters
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    RequestNotSent,
)

RECV_WINDOW_MS = 5_000
READ_TOTAL_TIMEOUT_S = 20.0

_T = TypeVar("_T")


class SignedReader:
    """Asks one host, as the owner of an API key."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        base_url: str,
        signer: Signer,
        budget: WeightBudget,
        exchange_ms: ExchangeClock,
    ) -> None:
        """Args:
        client: May keep connections; what is asked twice changes nothing.

        base_url: Without a path and without a trailing slash.

        signer: Signs each request.

        budget: The host's.

        exchange_ms: What time is signed.
        """
        self._client = client
        self._base_url = base_url
        self._signer = signer
        self._budget = budget
        self._exchange_ms = exchange_ms

    async def get(self, path: str, parameters: Parameters, kind: type[_T]) -> _T:
        """The answer to *path* with *parameters*.

        Raises:
            ExchangeUnavailableError: No answer, or none that can be relied upon.

            ExchangeRefusedError: The key may not ask this, or nobody may ask it so.
        """
        url = self._base_url + path
        away_ms = self._budget.blocked_ms()
        if away_ms > 0:
            raise ExchangeUnavailableError(
                f"{url}: asked us to stay away for another {away_ms / 1000:.0f} s"
            )
        reply = await self._send(url, path, parameters)
        self._budget.record_reply(reply.status_code, reply.headers)
        if reply.status_code != httpx2.codes.OK:
            raise self._error(url, reply)
        return decode_reply(url, reply.content, kind)

    async def _send(self, url: str, path: str, parameters: Parameters) -> httpx2.Response:
        timed = (
            *parameters,
            ("recvWindow", str(RECV_WINDOW_MS)),
            ("timestamp", str(round(self._exchange_ms()))),
        )
        query = self._signer.sign(encode_parameters(timed))
        # The target is sent as it is; a query in the URL might be rewritten, and is logged.
        extensions = {"target": path.encode("ascii") + b"?" + query}
        try:
            with anyio.fail_after(READ_TOTAL_TIMEOUT_S):
                return await self._client.get(
                    url, headers=self._signer.headers(), extensions=extensions
                )
        except (httpx2.HTTPError, OSError) as error:
            text = sanitize(str(error)) or type(error).__name__
            raise ExchangeUnavailableError(f"{url}: no answer: {text}") from error
        except httpx2.InvalidURL as error:
            raise ExchangeRefusedError(f"{url}: not a URL: {sanitize(str(error))}") from error

    def _error(
        self, url: str, reply: httpx2.Response
    ) -> ExchangeUnavailableError | ExchangeRefusedError:
        classified = classify_transfer_reply(reply.status_code, reply.content, reply.headers)
        match classified:
            case ReplyRefused(message=message):
                return ExchangeRefusedError(f"{url}: answered {message}")
            case ReplyNotProcessed(cause=cause, retry_after_ms=wait_ms):
                self._budget.block(wait_ms)
                return ExchangeUnavailableError(f"{url}: answered {cause}")
            case ReplyUnknown(cause=cause) | RequestNotSent(cause=cause):
                return ExchangeUnavailableError(f"{url}: answered {cause}")
            case ReplyAccepted():
                return ExchangeUnavailableError(f"{url}: answered {reply.status_code}")
            case _:
                assert_never(classified)


def decode_reply(url: str, content: bytes, kind: type[_T]) -> _T:
    """*content* as *kind*.

    Raises:
        ExchangeUnavailableError: It is something else: a proxy's page, half an answer.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeUnavailableError(
            f"{url}: the answer is not what was asked for: {sanitize(str(error))}"
        ) from error
