"""Kinds of problems of the HTTP API and their statuses; capabilities add their own kinds."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus

from msgspec import Struct

from chimera_s1.app.web.access.control_access import (
    AccessDisabledError,
    RateExceededError,
    ScopeMissingError,
    TokenRefusedError,
)
from chimera_s1.app.web.access.public_budget import PublicRateError
from chimera_s1.app.web.json_object import ContentCodingError, MediaTypeError, RequestInvalidError
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
    StoreUnavailableError,
)


class Advice(StrEnum):
    """What a client does after a problem; /schema and the pages say the same."""

    CORRECT = "correct the request"
    NEW_KEY = "request what is allowed, with a new id"
    RETRY = "send the same request with the same id, after `Retry-After`"


_ADVICE = {
    HTTPStatus.UNPROCESSABLE_ENTITY: Advice.NEW_KEY,
    HTTPStatus.REQUEST_TIMEOUT: Advice.RETRY,
    HTTPStatus.TOO_MANY_REQUESTS: Advice.RETRY,
    HTTPStatus.INTERNAL_SERVER_ERROR: Advice.RETRY,
    HTTPStatus.SERVICE_UNAVAILABLE: Advice.RETRY,
}
"""Other problems need a correction."""


class ProblemKind(Struct, frozen=True):
    """One kind of problem; programs rely on *code*, which never changes."""

    code: str
    status: HTTPStatus
    title: str

    @property
    def is_retryable(self) -> bool:
        """True if the same request may succeed later; its problem has a Retry-After."""
        return self.advice is Advice.RETRY

    @property
    def advice(self) -> "Advice":
        return _ADVICE.get(self.status, Advice.CORRECT)


KindByError = Mapping[type[ChimeraError], ProblemKind]

REQUEST_INVALID = ProblemKind(
    RequestInvalidError.code, HTTPStatus.BAD_REQUEST, "The request is malformed"
)
NOT_FOUND = ProblemKind("http.not_found", HTTPStatus.NOT_FOUND, "The path does not exist")
METHOD_NOT_ALLOWED = ProblemKind(
    "http.method_not_allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "The path does not support this method",
)
REQUEST_TOO_LARGE = ProblemKind(
    "request.too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"
)
HEAD_TOO_LARGE = ProblemKind(
    "request.head_too_large",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "The headers are too large or too many",
)
URL_TOO_LONG = ProblemKind(
    "request.url_too_long", HTTPStatus.REQUEST_URI_TOO_LONG, "The URL is too long"
)
REQUEST_TIMEOUT = ProblemKind(
    "request.timeout", HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time"
)
MEDIA_TYPE = ProblemKind(
    MediaTypeError.code, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON"
)
CONTENT_CODING = ProblemKind(
    ContentCodingError.code, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is encoded"
)
INCOMPLETE = ProblemKind(
    "request.incomplete", HTTPStatus.BAD_REQUEST, "The client left before the body was complete"
)
INTERNAL = ProblemKind(
    "internal", HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error; see the service's log"
)
VALUE_INVALID = ProblemKind(InvalidValueError.code, HTTPStatus.BAD_REQUEST, "A value is invalid")
TOKEN_REFUSED = ProblemKind(
    TokenRefusedError.code, HTTPStatus.UNAUTHORIZED, "A valid token is required"
)
SCOPE_MISSING = ProblemKind(
    ScopeMissingError.code, HTTPStatus.FORBIDDEN, "The token lacks the required scope"
)
RATE_EXCEEDED = ProblemKind(
    RateExceededError.code, HTTPStatus.TOO_MANY_REQUESTS, "The actor exceeds its rate limit"
)
PUBLIC_RATE = ProblemKind(
    PublicRateError.code, HTTPStatus.TOO_MANY_REQUESTS, "Too many requests without a token"
)
ACCESS_DISABLED = ProblemKind(
    AccessDisabledError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Disabled, because no tokens are configured",
)
STORE_UNAVAILABLE = ProblemKind(
    StoreUnavailableError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer"
)
EXCHANGE_UNAVAILABLE = ProblemKind(
    ExchangeUnavailableError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The exchange does not answer"
)
EXCHANGE_REFUSED = ProblemKind(
    ExchangeRefusedError.code, HTTPStatus.BAD_GATEWAY, "The exchange refuses the request"
)
STOPPING = ProblemKind(
    "service.stopping", HTTPStatus.SERVICE_UNAVAILABLE, "The service is stopping"
)
BUSY = ProblemKind(
    "service.busy", HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections or requests"
)
KIND_BY_ERROR: KindByError = {
    InvalidValueError: VALUE_INVALID,
    RequestInvalidError: REQUEST_INVALID,
    MediaTypeError: MEDIA_TYPE,
    ContentCodingError: CONTENT_CODING,
    TokenRefusedError: TOKEN_REFUSED,
    ScopeMissingError: SCOPE_MISSING,
    RateExceededError: RATE_EXCEEDED,
    PublicRateError: PUBLIC_RATE,
    AccessDisabledError: ACCESS_DISABLED,
    StoreUnavailableError: STORE_UNAVAILABLE,
    ExchangeUnavailableError: EXCHANGE_UNAVAILABLE,
}

_WITHOUT_ERROR = (
    REQUEST_INVALID,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    REQUEST_TOO_LARGE,
    INCOMPLETE,
    HEAD_TOO_LARGE,
    URL_TOO_LONG,
    REQUEST_TIMEOUT,
    BUSY,
    INTERNAL,
)


class ProblemTable:
    """Every kind of problem of an application.

    Args:
        by_error: Kinds of the capabilities.
        others: Kinds without an error class.
    """

    def __init__(self, by_error: Iterable[KindByError], others: Iterable[ProblemKind] = ()) -> None:
        self._by_error = dict(KIND_BY_ERROR)
        for kinds in by_error:
            for error, kind in kinds.items():
                known_kind = self._by_error.setdefault(error, kind)
                assert known_kind == kind, f"{error.__name__} is {known_kind.code} and {kind.code}"
        self.kinds = tuple(dict.fromkeys((*_WITHOUT_ERROR, *self._by_error.values(), *others)))

    def kind_of(self, error: ChimeraError) -> ProblemKind:
        """The kind of the nearest known class; INTERNAL if none is known."""
        classes = type(error).__mro__
        return next((self._by_error[c] for c in classes if c in self._by_error), INTERNAL)
