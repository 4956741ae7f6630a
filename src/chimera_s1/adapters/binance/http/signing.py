"""Signed requests: percent-encode first, sign exactly that text, send exactly that text.

Binance, SPOT rest-api.md "Request Security" and USD-M "General Info": the signature is the
HMAC-SHA256 of the query string immediately followed by the body, in hex, as the last parameter;
what is signed before it is encoded is refused with -1022 (spot and `/sapi`, since 2026-01-15).
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote, urlencode

from msgspec import Struct

from chimera_s1.domain.errors import ConfigurationError

API_KEY_HEADER = "X-MBX-APIKEY"
MASK = "***"

Parameters = Iterable[tuple[str, str]]


class Secret:
    """A text that shows itself to nobody who does not ask for it by `reveal`.

    It prints as `***`, and can be neither copied, pickled nor encoded.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text; it goes into a header or a signature, and nowhere else."""
        return self.__text

    def __repr__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret does not leave the process")


class Credentials(Struct, frozen=True):
    """An API key, and the secret that signs for it."""

    api_key: Secret
    secret: Secret

    def __post_init__(self) -> None:
        key = self.api_key.reveal()
        if not key or not key.isascii() or not key.isalnum():
            raise ConfigurationError(
                "the API key cannot be one: Binance's are letters and digits; copy it again"
            )
        if not self.secret.reveal():
            raise ConfigurationError("the API key has no secret; set both or neither")


class Signer:
    """Signs for one API key."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def headers(self) -> dict[str, str]:
        """Name the key; for a request that is about to be sent."""
        return {API_KEY_HEADER: self._credentials.api_key.reveal()}

    def signature(self, payload: str) -> str:
        """Of *payload*: the encoded query and the encoded body, one right after the other."""
        secret = self._credentials.secret.reveal().encode()
        return hmac.new(secret, payload.encode("ascii"), hashlib.sha256).hexdigest()

    def sign(self, payload: str) -> bytes:
        """*payload* and its signature: the bytes to send."""
        return f"{payload}&signature={self.signature(payload)}".encode("ascii")


def encode_parameters(parameters: Parameters) -> str:
    """*parameters* as they are signed and sent, in their order."""
    return urlencode(list(parameters), quote_via=quote, safe="")
