"""Problem documents (RFC 9457) of the server itself, before or without the application."""

from collections.abc import Iterable

import msgspec

from chimera_s1.app.web.problem_kinds import ProblemKind
from chimera_s1.app.web.problems import PROBLEM_JSON, RETRY_AFTER_S
from chimera_s1.app.web.schemas import ProblemView

Headers = list[tuple[bytes, bytes]]


def problem_message(kind: ProblemKind, detail: str, path: str = "") -> tuple[Headers, bytes]:
    """Headers and body; an empty *path* is, as a URI reference, the address of the request."""
    view = ProblemView(
        type=f"/schema#{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=path,
        code=kind.code,
    )
    body = msgspec.json.encode(view)
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if kind.is_retryable:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    return headers, body


def raw_problem(
    kind: ProblemKind, detail: str, default_headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """A whole HTTP/1.1 response."""
    headers, body = problem_message(kind, detail)
    lines = [b"%s: %s\r\n" % pair for pair in (*default_headers, *headers)]
    status = f"HTTP/1.1 {kind.status.value} {kind.status.phrase}\r\n".encode()
    return b"".join([status, *lines, b"\r\n", body])
