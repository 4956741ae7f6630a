"""Errors of the client; each kind of problem document (RFC 9457) has its own type."""

from http import HTTPStatus

from msgspec import Struct


class Problem(Struct, frozen=True):
    """What a reply with an error status says.

    Attributes:
        code: The service's name for the kind of problem; empty if the body is no problem document.
        detail: The service's sentence for people.
        retry_after_ms: From the `Retry-After` header; 0 without one.
    """

    status: int
    code: str = ""
    detail: str = ""
    retry_after_ms: int = 0

    def __str__(self) -> str:
        status = f"{self.status} {self.code}".strip()
        return f"{self.detail} ({status})" if self.detail else f"status {status}"


class ClientError(Exception):
    """Base of all errors of this package."""


class InvalidArgumentError(ClientError, ValueError):
    """An address, a token or an instrument is malformed. Secrets are not repeated in the text."""


class NoReplyError(ClientError):
    """No complete reply arrived. The service may have carried out the request all the same."""


class ProblemError(ClientError):
    """The service answered with an error status."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class RequestInvalidError(ProblemError):
    """400, 413 and other 4xx: the service does not understand the request."""


class AccessError(ProblemError):
    """401, 403: the token is unknown, or lacks the scope."""


class NotFoundError(ProblemError):
    """404: there is no such transfer or route."""


class ConflictError(ProblemError):
    """409: the state of the service forbids it, not the request itself."""


class KeyReusedError(ProblemError):
    """422 `key_reused`: the id belongs to another transfer, which may have moved money. Look at it
    with `find` before anything is requested under a new id.
    """


class UnavailableError(ProblemError):
    """429, 5xx: the same request may succeed later. Whether it was accepted is not known."""


KEY_REUSED_CODE = "key_reused"

_KINDS: dict[int, type[ProblemError]] = {
    HTTPStatus.UNAUTHORIZED: AccessError,
    HTTPStatus.FORBIDDEN: AccessError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.TOO_MANY_REQUESTS: UnavailableError,
}


def problem_error(problem: Problem) -> ProblemError:
    """The error for *problem*, of the type that its status has."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(problem)
    if problem.code == KEY_REUSED_CODE:
        return KeyReusedError(problem)
    return _KINDS.get(problem.status, RequestInvalidError)(problem)
