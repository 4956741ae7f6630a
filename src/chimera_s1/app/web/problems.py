"""Turn our errors and Litestar's into problem details (RFC 9457)."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import HTTPScope

from chimera_s1.app.web.access.control_access import RateExceededError, TokenRefusedError
from chimera_s1.app.web.access.public_budget import PublicBudget, PublicRateError, peer_of
from chimera_s1.app.web.json_object import ContentCodingError
from chimera_s1.app.web.parameters import what_to_send, written_name
from chimera_s1.app.web.problem_kinds import (
    INCOMPLETE,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    REQUEST_INVALID,
    REQUEST_TOO_LARGE,
    TOKEN_REFUSED,
    ProblemKind,
    ProblemTable,
)
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.printable import escape_unprintable

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5

_DISCONNECTED = "client_disconnected"
_CLOSE = {"Connection": "close"}
_WITHOUT_TOKEN = frozenset({NOT_FOUND, METHOD_NOT_ALLOWED, TOKEN_REFUSED})
"""Refusals that anybody can cause; past the budget each ends its connection."""

_View = TypeVar("_View", bound=ProblemView)
AnyRequest = Request[Any, Any, State]

_KIND_BY_FRAMEWORK_ERROR: dict[type[Exception], ProblemKind] = {
    NotFoundException: NOT_FOUND,
    MethodNotAllowedException: METHOD_NOT_ALLOWED,
    RequestEntityTooLarge: REQUEST_TOO_LARGE,
}
_logger = logging.getLogger(__name__)


def problem_response(request: AnyRequest, error: Exception) -> Response[ProblemView]:
    kind, view = classify_error(request, error)
    headers = error_headers(error)
    if kind in _WITHOUT_TOKEN and _budget_is_spent(request):
        headers = {**headers, **_CLOSE}
    return problem_reply(kind, view, headers)


def classify_error(request: AnyRequest, error: Exception) -> tuple[ProblemKind, ProblemView]:
    """The kind and view of *error*; an unexpected error is logged, and its text stays here."""
    kind = _kind(request, error)
    if kind is INTERNAL:
        _logger.error("%s %s failed", request.method, shown_path(request), exc_info=error)
    return kind, problem_view(kind, _detail(kind, error, request), request)


def problem_view(kind: ProblemKind, detail: str, request: AnyRequest) -> ProblemView:
    return ProblemView(
        type=f"/schema#{kind.code}",  # its row on the page that describes the API
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=shown_path(request),
        code=kind.code,
    )


def problem_reply(
    kind: ProblemKind, view: _View, headers: Mapping[str, str] | None = None
) -> Response[_View]:
    retry = {"Retry-After": str(RETRY_AFTER_S)} if kind.is_retryable else {}
    return Response(
        view,
        status_code=kind.status,
        media_type=PROBLEM_JSON,
        headers={**retry, **(headers or {})},
    )


def shown_path(request: AnyRequest) -> str:
    """The path as in a URL, so without control characters."""
    return quote(request.scope["path"])


def note_disconnect(scope: HTTPScope) -> None:
    """Remember that the client has left: the framework's error about it is not ours."""
    scope["state"][_DISCONNECTED] = True


def problem_spec(*kinds: ProblemKind, view: type[ProblemView] = ProblemView) -> ResponseSpec:
    """OpenAPI description of *kinds*, which share a status."""
    each = "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds)
    return ResponseSpec(
        view,
        generate_examples=False,
        description=each,
        media_type=PROBLEM_JSON,
    )


def error_headers(error: Exception) -> Mapping[str, str]:
    """Headers that RFC 9110 requires: Allow (from Litestar's exception), WWW-Authenticate,
    Retry-After.
    """
    match error:
        case TokenRefusedError():
            return {"WWW-Authenticate": "Bearer"}
        case ContentCodingError():
            return {"Accept-Encoding": "identity"}
        case RateExceededError(retry_after_s=wait_s):
            return {"Retry-After": str(wait_s)}
        case PublicRateError(retry_after_s=wait_s):
            # What the connection has sent already is not answered either.
            return {"Retry-After": str(wait_s), **_CLOSE}
        case HTTPException(headers=dict(headers)):
            return headers
        case _:
            return {}


def _budget_is_spent(request: AnyRequest) -> bool:
    budget: PublicBudget = request.app.state.public_budget
    return budget.is_spent(peer_of(request))


def _kind(request: AnyRequest, error: Exception) -> ProblemKind:
    match error:
        case ChimeraError():
            table: ProblemTable = request.app.state.problem_table
            return table.kind_of(error)
        case InternalServerException() if _DISCONNECTED in request.scope["state"]:
            return INCOMPLETE
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _KIND_BY_FRAMEWORK_ERROR.get(type(error), REQUEST_INVALID)
        case _:
            return INTERNAL


def _detail(kind: ProblemKind, error: Exception, request: AnyRequest) -> str:
    if kind is INTERNAL:
        return "the request failed because of an internal error; retry, and tell the operator"
    if kind is NOT_FOUND:
        return f"no route {shown_path(request)}; see /schema"
    if kind is METHOD_NOT_ALLOWED:
        return f"{shown_path(request)} does not support {request.method}; see the Allow header"
    if kind is REQUEST_TOO_LARGE:
        limit = request.route_handler.resolve_request_max_body_size()
        return f"{shown_path(request)} accepts {limit} bytes at most; send less"
    if isinstance(error, HTTPException):
        text = _validation_messages(request, error.extra) or error.detail
        return escape_unprintable(text)
    return escape_unprintable(str(error))


def _validation_messages(request: AnyRequest, extra: object) -> str:
    # Litestar's validation errors: a list of {"message", "key", "source"}; key is the argument.
    rows = [row for row in extra if isinstance(row, dict)] if isinstance(extra, list) else []
    return "; ".join(_validation_message(request.route_handler, row) for row in rows)


def _validation_message(handler: BaseRouteHandler, row: dict[str, str]) -> str:
    field = row.get("key", "the request")
    return f"{written_name(handler, field)}: {what_to_send(handler, field) or row.get('message')}"
