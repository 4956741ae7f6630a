"""Turn our errors and Litestar's into problem details (RFC 9457)."""

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

from chimera_s1.app.web.access.control_access import RateExceededError, TokenRefusedError
from chimera_s1.app.web.problem_kinds import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    REQUEST_INVALID,
    REQUEST_TOO_LARGE,
    ProblemKind,
    ProblemTable,
)
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.errors import ChimeraError

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5

_View = TypeVar("_View", bound=ProblemView)
AnyRequest = Request[Any, Any, State]

_logger = logging.getLogger(__name__)


def problem_response(request: AnyRequest, error: Exception) -> Response[ProblemView]:
    kind, view = classify_error(request, error)
    return problem_reply(kind, view, error_headers(error))


def classify_error(request: AnyRequest, error: Exception) -> tuple[ProblemKind, ProblemView]:
    """The kind and view of *error*; an unexpected error is logged, and its text stays here."""
    kind = _kind(request, error)
    if kind is INTERNAL:
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return kind, problem_view(kind, _detail(kind, error, request), request)


def problem_view(kind: ProblemKind, detail: str, request: AnyRequest) -> ProblemView:
    return ProblemView(
        type=f"/schema#{kind.code}",  # its row on the page that describes the API
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=quote(request.url.path),
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
        case RateExceededError(retry_after_s=wait_s):
            return {"Retry-After": str(wait_s)}
        case HTTPException(headers=dict(headers)):
            return headers
        case _:
            return {}


def _kind(request: AnyRequest, error: Exception) -> ProblemKind:
    match error:
        case ChimeraError():
            table: ProblemTable = request.app.state.problem_table
            return table.kind_of(error)
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


def _detail(kind: ProblemKind, error: Exception, request: AnyRequest) -> str:
    if kind is INTERNAL:
        return "the request failed because of an internal error; retry, and tell the operator"
    if kind is NOT_FOUND:
        return f"no route {request.url.path}; see /schema"
    if kind is METHOD_NOT_ALLOWED:
        return f"{request.url.path} does not support {request.method}; see the Allow header"
    if kind is REQUEST_TOO_LARGE:
        limit = request.route_handler.resolve_request_max_body_size()
        return f"{request.url.path} accepts {limit} bytes at most; send less"
    if isinstance(error, HTTPException):
        return _validation_messages(error.extra) or error.detail
    return str(error)


def _validation_messages(extra: object) -> str:
    # Litestar's validation errors: a list of {"message", "key", "source"}.
    rows = [row for row in extra if isinstance(row, dict)] if isinstance(extra, list) else []
    return "; ".join(f"{row.get('key', 'the request')}: {row.get('message')}" for row in rows)
