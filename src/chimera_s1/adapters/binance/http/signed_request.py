"""A request that must not arrive twice: signed first, given out once."""

from enum import StrEnum
from hashlib import sha256
from typing import NoReturn

from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Parameters, Signer, encode_parameters
from chimera_s1.domain.operations.request_budget import RequestCall


class Method(StrEnum):
    POST = "POST"
    """The signed text is the body."""
    DELETE = "DELETE"
    """The signed text is the query."""


class RequestTarget(Struct, frozen=True):
    """*call* says what a request to it spends."""

    method: Method
    path: str
    call: RequestCall


class BinanceSignedRequest:
    """The signed text to send; its `repr` shows neither it nor the key.

    Attributes:
        target: Where it goes.
        signer: With whose key it is sent, though another one may be in use by then.
    """

    __slots__ = ("__text", "_request_hash", "signer", "target")

    def __init__(self, target: RequestTarget, parameters: Parameters, signer: Signer) -> None:
        """*parameters* are signed in their order, timestamp included."""
        payload = encode_parameters(parameters)
        self.target = target
        self.signer = signer
        self._request_hash = sha256(payload.encode("ascii")).hexdigest()
        self.__text: bytes | None = signer.sign(payload)

    @property
    def request_hash(self) -> str:
        """SHA-256 of the signed text, without the signature."""
        return self._request_hash

    def take_text(self) -> bytes:
        """Raises:
        RuntimeError: It was taken before.
        """
        text, self.__text = self.__text, None
        if text is None:
            raise RuntimeError("this request was already sent; sign a new one for a new attempt")
        return text

    def __repr__(self) -> str:
        return f"<signed {self.target.method} {self.target.path} {self._request_hash[:12]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signed request cannot be pickled or copied")
