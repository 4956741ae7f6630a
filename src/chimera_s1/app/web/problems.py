"""
Errors to problem details (RFC 9457), for our own errors and Litestar's alike.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from chimera_s1.app.use_cases.control_access import (
    AccessDisabledError,
    RateExceededError,
    ScopeMissingError,
    TokenRefusedError,
)
from chimera_s1.app.use_cases.quote_board import BoardClosedError, TooManySubscribersError
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.errors import ChimeraError, InvalidValueError

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5

_View = TypeVar("_View", bound=ProblemView)
AnyRequest = Request[Any, Any, State]

_logger = logging.getLogger(__name__)


class QuoteUnknownError(ChimeraError):
    """
    No quote of that instrument was published since the start.
    """

    code = "quotes.unknown"


class ProblemKind(Struct, frozen=True):
    """
    One row of the table of problems.

    Attributes:
        code: For programs; never changes.

        status: HTTP status.

        title: For people.
    """

    code: str
    status: HTTPStatus
    title: str

    @property
    def retry_later(self) -> bool:
        """
        The same request may succeed in a few seconds.
        """
        return self.status is HTTPStatus.SERVICE_UNAVAILABLE


REQUEST_INVALID = ProblemKind(
    "request.invalid", HTTPStatus.BAD_REQUEST, "The request cannot be understood"
)
NOT_FOUND = ProblemKind("http.not_found", HTTPStatus.NOT_FOUND, "There is no such path")
METHOD_NOT_ALLOWED = ProblemKind(
    "http.method_not_allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This path does not take this method",
)
REQUEST_TOO_LARGE = ProblemKind(
    "request.too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than this takes"
)
NOT_READY = ProblemKind(
    "service.not_ready",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Something the service cannot work without is RED",
)
INTERNAL = ProblemKind(
    "internal", HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed; its log says more"
)
VALUE_INVALID = ProblemKind(
    InvalidValueError.code, HTTPStatus.BAD_REQUEST, "A value cannot be what it claims to be"
)
QUOTE_UNKNOWN = ProblemKind(
    QuoteUnknownError.code, HTTPStatus.NOT_FOUND, "There is no quote of this instrument"
)
TOO_MANY_SUBSCRIBERS = ProblemKind(
    TooManySubscribersError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "As many streams are open as may be",
)
STOPPING = ProblemKind(
    BoardClosedError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The service is stopping"
)
TOKEN_REFUSED = ProblemKind(
    TokenRefusedError.code, HTTPStatus.UNAUTHORIZED, "This needs a valid token"
)
SCOPE_MISSING = ProblemKind(
    ScopeMissingError.code, HTTPStatus.FORBIDDEN, "The token is not for this"
)
RATE_EXCEEDED = ProblemKind(
    RateExceededError.code, HTTPStatus.TOO_MANY_REQUESTS, "This actor asks too often"
)
ACCESS_DISABLED = ProblemKind(
    AccessDisabledError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "No tokens are configured, so nobody may do this",
)
_OWN: dict[type[ChimeraError], ProblemKind] = {
    InvalidValueError: VALUE_INVALID,
    QuoteUnknownError: QUOTE_UNKNOWN,
    TooManySubscribersError: TOO_MANY_SUBSCRIBERS,
    BoardClosedError: STOPPING,
    TokenRefusedError: TOKEN_REFUSED,
    ScopeMissingError: SCOPE_MISSING,
    RateExceededError: RATE_EXCEEDED,
    AccessDisabledError: ACCESS_DISABLED,
}
PROBLEM_KINDS = (
    REQUEST_INVALID,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    REQUEST_TOO_LARGE,
    NOT_READY,
    INTERNAL,
    *_OWN.values(),
)


def problem_response(request: AnyRequest, error: Exception) -> Response[ProblemView]:
    """
    The problem that *error* is; what nobody planned for is logged, and the client learns no more
    than that.
    """
    kind = _kind(error)
    if kind is INTERNAL:
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    view = view_of(kind, _detail(kind, error, request), request)
    return respond(kind, view, _headers(error))


def view_of(kind: ProblemKind, detail: str, request: AnyRequest) -> ProblemView:
    """
    A problem of *kind* with *request*.
    """
    return ProblemView(
        type=f"/schema#{kind.code}",  # its row on the page that describes the API
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=quote(request.url.path),
        code=kind.code,
    )


def respond(
    kind: ProblemKind, view: _View, headers: Mapping[str, str] | None = None
) -> Response[_View]:
    """
    *view* as a response of the status of *kind*.
    """
    retry = {"Retry-After": str(RETRY_AFTER_S)} if kind.retry_later else {}
    return Response(
        view,
        status_code=kind.status,
        media_type=PROBLEM_JSON,
        headers={**retry, **(headers or {})},
    )


def described(kind: ProblemKind) -> ResponseSpec:
    """
    *kind* for the OpenAPI description of a route.
    """
    return ResponseSpec(
        ProblemView, generate_examples=False, description=kind.title, media_type=PROBLEM_JSON
    )


def _kind(error: Exception) -> ProblemKind:
    match error:
        case ChimeraError():
            return _OWN.get(type(error), INTERNAL)
        case NotFoundException():
            return NOT_FOUND
        case MethodNotAllowedException():
            return METHOD_NOT_ALLOWED
        case RequestEntityTooLarge():
            return REQUEST_TOO_LARGE
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return REQUEST_INVALID
        case _:
            return INTERNAL


def _headers(error: Exception) -> Mapping[str, str]:
    """
    What RFC 9110 wants beside the status: Allow with a 405 (Litestar's exception carries it),
    WWW-Authenticate with a 401; and when to come back.
    """
    match error:
        case TokenRefusedError():
            return {"WWW-Authenticate": "Bearer"}
        case RateExceededError(retry_after_s=wait_s):
            return {"Retry-After": str(wait_s)}
        case HTTPException(headers=dict(headers)):
            return headers
        case _:
            return {}


def _detail(kind: ProblemKind, error: Exception, request: AnyRequest) -> str:
    if kind is INTERNAL:
        return "the request was understood and failed here; try again, and tell the operator"
    if kind is NOT_FOUND:
        return f"{request.url.path} is nothing this service has; /schema describes what it has"
    if kind is METHOD_NOT_ALLOWED:
        return f"{request.url.path} does not take {request.method}; see the Allow header"
    if kind is REQUEST_TOO_LARGE:
        limit = request.route_handler.resolve_request_max_body_size()
        return f"{request.url.path} takes {limit} bytes at most; send less"
    if isinstance(error, HTTPException):
        return _faults(error.extra) or error.detail
    return str(error)


def _faults(extra: object) -> str:
    # Litestar's validation errors: a list of {"message", "key", "source"}.
    rows = [row for row in extra if isinstance(row, dict)] if isinstance(extra, list) else []
    return "; ".join(f"{row.get('key', 'the request')}: {row.get('message')}" for row in rows)
