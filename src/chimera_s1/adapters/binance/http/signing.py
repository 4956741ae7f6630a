"""Signed requests: percent-encode first, sign exactly that text, send exactly that text.

Binance, SPOT rest-api.md "Request Security" and USD-M "General Info": the signature is the
HMAC-SHA256 of the query string immediately followed by the body, in hex, as the last parameter;
what is signed before it is encoded is refused with -1022 (spot and `/sapi`, since 2026-01-15).
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeAlias
from urllib.parse import quote, urlencode

from msgspec import Struct

from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue

API_KEY_HEADER = "X-MBX-APIKEY"
MASK = "***"

READ_RECV_WINDOW_MS = 5_000

Parameters: TypeAlias = Iterable[tuple[str, str]]

_is_plain = re.compile("[A-Za-z0-9_.~=&-]*").fullmatch
"""Of letters that percent-encoding leaves as they are, and those between the parameters."""

ExchangeClock: TypeAlias = Callable[[], float]
"""The exchange's clock now, epoch ms; raises ClockUncertainError while it is not known."""


VenueClock: TypeAlias = Callable[[Venue], float]
"""The same, of the host of a venue."""


class Secret:
    """A text that prints as `***` and can be neither copied, pickled nor encoded."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """For a header or a signature, and nothing else."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.__text.encode(), other.__text.encode()
        )

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret would be a hint at it

    def __repr__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class Credentials(Struct, frozen=True):
    api_key: Secret
    secret: Secret

    def __post_init__(self) -> None:
        key = self.api_key.reveal()
        if not key or not key.isascii() or not key.isalnum():
            raise ConfigurationError(
                "invalid API key: Binance keys are letters and digits only; copy it again"
            )
        if not self.secret.reveal():
            raise ConfigurationError("API key without secret; set both or neither")


class Signer:
    """Signs for one API key."""

    def __init__(self, credentials: Credentials, exchange_ms: ExchangeClock) -> None:
        self._credentials = credentials
        self._exchange_ms = exchange_ms
        # To take in the key is half of the work.
        secret = credentials.secret.reveal().encode()
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def headers(self) -> dict[str, str]:
        """They show the key: make them only for a request that is about to be sent."""
        return {API_KEY_HEADER: self._credentials.api_key.reveal()}

    def signature(self, payload: str) -> str:
        """Of *payload*: the encoded query immediately followed by the encoded body."""
        return self._hmac(payload.encode("ascii"))

    def sign(self, payload: str) -> bytes:
        """*payload* and its signature: the bytes to send."""
        return f"{payload}&signature={self.signature(payload)}".encode("ascii")

    def sign_query(self, parameters: Parameters) -> bytes:
        """The query of a read that is sent now, with its timestamp and signature."""
        timed = (
            *parameters,
            ("recvWindow", str(READ_RECV_WINDOW_MS)),
            ("timestamp", str(self.timestamp_ms())),
        )
        return self.sign(encode_parameters(timed))

    def sign_fields(self, fields: Mapping[str, str]) -> dict[str, str | int]:
        """The parameters of a request of the WebSocket API that is sent now; they show the key.

        Unlike REST's they are sorted by name and signed as raw UTF-8, not percent-encoded (SPOT
        web-socket-api.md, "SIGNED request security").
        """
        timed: dict[str, str | int] = {
            **fields,
            "apiKey": self._credentials.api_key.reveal(),
            "recvWindow": READ_RECV_WINDOW_MS,
            "timestamp": self.timestamp_ms(),
        }
        payload = "&".join(f"{name}={timed[name]}" for name in sorted(timed))
        return {**timed, "signature": self._hmac(payload.encode())}

    def timestamp_ms(self) -> int:
        """The exchange's clock now.

        Raises:
            ClockUncertainError: It is not known.
        """
        return round(self._exchange_ms())

    def _hmac(self, payload: bytes) -> str:
        mac = self._keyed.copy()
        mac.update(payload)
        return mac.hexdigest()


def encode_parameters(parameters: Parameters) -> str:
    """*parameters* as they are signed and sent, in their order."""
    pairs = list(parameters)
    text = "&".join([f"{name}={value}" for name, value in pairs])
    # Most are plain, and `urlencode` takes as long as all else that signs an order.
    if _is_plain(text) and (text.count("="), text.count("&")) == (len(pairs), len(pairs) - 1):
        return text
    return urlencode(pairs, quote_via=quote, safe="")
