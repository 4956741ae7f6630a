"""Requests of a command to the running service."""

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import msgspec

from chimera_s1.app.cli.shared.service_access import ServiceAccess
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1_client import HttpSession, NoReplyError
from chimera_s1_client.errors import problem_error
from chimera_s1_client.transfer import read_problem

T = TypeVar("T")


class ServiceCallError(ChimeraError):
    """The service did not answer, or answered that it cannot do this now."""

    code = "service.call"


class ServiceNotFoundError(InvalidValueError):
    """What the request names does not exist."""


_ERRORS: dict[int, type[ChimeraError]] = {
    HTTPStatus.BAD_REQUEST: InvalidValueError,
    HTTPStatus.NOT_FOUND: ServiceNotFoundError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidValueError,
}


def path_part(text: str) -> str:
    """*text* as a part of a path or query; bytes of an argument that are not UTF-8 become `?`."""
    return quote(text, safe="", errors="replace")


async def call_service(
    service: ServiceAccess, method: str, path: str, kind: type[T], body: bytes | None = None
) -> T:
    """The reply to one request, decoded.

    Raises:
        ServiceNotFoundError: What the request names does not exist.
        InvalidValueError: The request is not valid.
        ServiceCallError: Anything else that is not the reply; it has the service's words.
    """
    async with HttpSession(service.url, service.token) as session:
        return await call_in_session(session, method, path, kind, body)


async def call_in_session(
    session: HttpSession, method: str, path: str, kind: type[T], body: bytes | None = None
) -> T:
    """As `call_service`, for one of many requests: making a session takes longer than a request."""
    try:
        reply = await session.send(method, path, body)
    except NoReplyError as error:
        raise ServiceCallError(f"{error}; is the service running?") from error
    if not reply.ok:
        problem = problem_error(read_problem(reply))
        raise _ERRORS.get(reply.status, ServiceCallError)(f"{session.url}: {problem}")
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.MsgspecError as error:
        raise ServiceCallError(
            f"{session.url}{path}: the reply has another form ({error}); is the service of another "
            "version?"
        ) from error
