"""Signed GET requests to one host."""

from typing import TypeVar, assert_never

import anyio
import httpx2
import msgspec

from chimera_s1.adapters.binance.http.options import ExchangeClock
from chimera_s1.adapters.binance.http.reply_classification import classify, harmless
from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encoded
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.treasury_gateway import (
    Accepted,
    NotSent,
    Refused,
    TurnedAway,
    Unknown,
)

READ_WINDOW_MS = 5_000
READ_DEADLINE_S = 20.0

_Answer = TypeVar("_Answer")


class SignedReads:
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

    async def get(self, path: str, parameters: Parameters, kind: type[_Answer]) -> _Answer:
        """The answer to *path* with *parameters*.

        Raises:
            ExchangeUnavailableError: No answer, or none that can be relied upon.

            ExchangeRefusedError: The key may not ask this, or nobody may ask it so.
        """
        url = self._base_url + path
        away_ms = self._budget.away_ms()
        if away_ms > 0:
            raise ExchangeUnavailableError(
                f"{url}: asked us to stay away for another {away_ms / 1000:.0f} s"
            )
        reply = await self._ask(url, path, parameters)
        self._budget.note(reply.status_code, reply.headers)
        if reply.status_code != httpx2.codes.OK:
            raise self._failure(url, reply)
        return decoded(url, reply.content, kind)

    async def _ask(self, url: str, path: str, parameters: Parameters) -> httpx2.Response:
        timed = (
            *parameters,
            ("recvWindow", str(READ_WINDOW_MS)),
            ("timestamp", str(round(self._exchange_ms()))),
        )
        query = self._signer.signed(encoded(timed))
        # The target is sent as it is; a query in the URL might be rewritten, and is logged.
        extensions = {"target": path.encode("ascii") + b"?" + query}
        try:
            with anyio.fail_after(READ_DEADLINE_S):
                return await self._client.get(
                    url, headers=self._signer.headers(), extensions=extensions
                )
        except (httpx2.HTTPError, OSError) as error:
            text = harmless(str(error)) or type(error).__name__
            raise ExchangeUnavailableError(f"{url}: no answer: {text}") from error
        except httpx2.InvalidURL as error:
            raise ExchangeRefusedError(f"{url}: not a URL: {harmless(str(error))}") from error

    def _failure(
        self, url: str, reply: httpx2.Response
    ) -> ExchangeUnavailableError | ExchangeRefusedError:
        said = classify(reply.status_code, reply.content, reply.headers)
        match said:
            case Refused(message=message):
                return ExchangeRefusedError(f"{url}: answered {message}")
            case TurnedAway(cause=cause, wait_ms=wait_ms):
                self._budget.stay_away(wait_ms)
                return ExchangeUnavailableError(f"{url}: answered {cause}")
            case Unknown(cause=cause) | NotSent(cause=cause):
                return ExchangeUnavailableError(f"{url}: answered {cause}")
            case Accepted():
                return ExchangeUnavailableError(f"{url}: answered {reply.status_code}")
            case _:
                assert_never(said)


def decoded(url: str, content: bytes, kind: type[_Answer]) -> _Answer:
    """*content* as *kind*.

    Raises:
        ExchangeUnavailableError: It is something else: a proxy's page, half an answer.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeUnavailableError(
            f"{url}: the answer is not what was asked for: {harmless(str(error))}"
        ) from error
