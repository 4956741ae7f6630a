"""Uvicorn's HTTP protocol with limits of size and time.

Uvicorn with httptools keeps a head of any size, parses it in quadratic time, and waits for it for
ever. Each connection here has one deadline at a time, judged once a second by `Connections`, and
what exceeds a limit is refused with a problem document before the application sees it. Nothing is
logged for a hostile request: `s1_http_connections_closed_total` counts it.
"""

import asyncio
from collections import deque
from enum import Enum, auto
from math import inf
from typing import Any, assert_never

import httptools
from msgspec import Struct
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from chimera_s1.app.web.connections import CloseReason, Connections
from chimera_s1.app.web.problem_kinds import (
    BUSY,
    HEAD_TOO_LARGE,
    REQUEST_INVALID,
    REQUEST_TIMEOUT,
    REQUEST_TOO_LARGE,
    URL_TOO_LONG,
    ProblemKind,
)
from chimera_s1.app.web.raw_problem import raw_problem


class ConnectionLimits(Struct, frozen=True):
    """Limits of one connection.

    Attributes:
        head_bytes: Request line and headers, and separately the trailers of a chunked body.
        body_bytes: Body, with the framing of its chunks.
        pipelined: Requests that may wait for the one in progress.
        idle_s: Without a request.
        head_s: From a request's first byte to the end of its headers.
        body_s: From there to the end of the body.
        reader_s: How long output may wait for its reader.
        linger_s: After a refusal, until the client closes.
        linger_bytes: Discarded meanwhile: a reset would destroy the response on its way.
    """

    head_bytes: int = 16_384
    headers: int = 100
    body_bytes: int = 65_536
    pipelined: int = 16
    idle_s: float = 15.0
    head_s: float = 10.0
    body_s: float = 30.0
    reader_s: float = 30.0
    linger_s: float = 2.0
    linger_bytes: int = 1_048_576


LIMITS = ConnectionLimits()
_HEADER_FRAMING = 4
"""Bytes of a header besides name and value: colon, space and line end."""


_PIECE_BYTES = 4_096
"""Parsed at a time, so that an unfinished line exceeds its limit by no more than this."""


class _Reading(Enum):
    """What the next byte from the client belongs to."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    REFUSED = auto()


class _Refused(Exception):  # noqa: N818 (control flow through the parser, not an error of ours)
    def __init__(self, reason: CloseReason, kind: ProblemKind, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.kind = kind


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Implements `OpenConnection`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
        limits: ConnectionLimits = LIMITS,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self._limits = limits
        self._unanswered: deque[RequestResponseCycle] = deque()
        self.url = b""
        self._reading = _Reading.NOTHING
        self._received = 0  # bytes since the head, or the body, began
        self._parsed = 0  # bytes of finished lines of the head
        self._header_count = 0
        self._deadline = inf
        self._idle_since = self.loop.time()
        self._stuck_since: float | None = None

    @property
    def idle_since(self) -> float | None:
        return None if self._unanswered else self._idle_since

    @property
    def stuck_since(self) -> float | None:
        return self._stuck_since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self._after(self._limits.idle_s)
        if not self._connections.admit(self):
            detail = "too many connections are open; retry"
            transport.write(raw_problem(BUSY, detail, self.server_state.default_headers))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        for cycle in self._unanswered:  # uvicorn tells only the newest
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reading is _Reading.REFUSED:
            self._discard(len(data))
            return
        try:
            for at in range(0, len(data), _PIECE_BYTES):
                self._parse(data[at : at + _PIECE_BYTES])
        except httptools.HttpParserUpgrade:
            # Answered like any other request; what follows it in *data* is lost.
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            self._refuse(_cause(error))
        except _Refused as refused:
            self._refuse(refused)

    def _parse(self, piece: bytes) -> None:
        before = self.scope
        self.parser.feed_data(piece)
        if self.scope is before:  # else a head began somewhere in it
            self._count_received(len(piece))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if len(self.pipeline) >= self._limits.pipelined:
            detail = f"at most {self._limits.pipelined} requests may wait on one connection"
            raise _Refused(CloseReason.PIPELINED, REQUEST_INVALID, detail)
        self._reading = _Reading.HEAD
        self._begin_part(self._limits.head_s)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_parsed(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._count_parsed(len(name) + len(value) + _HEADER_FRAMING)
        if self._reading is _Reading.HEAD:  # a trailer is no header (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._unanswered.append(self.cycle)
        self._reading = _Reading.BODY
        self._begin_part(self._limits.body_s)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._reading = _Reading.NOTHING
        self._begin_part(inf if self._unanswered else self._limits.idle_s)

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        super().on_response_complete()
        self._unset_keepalive_if_required()  # `end_overdue` closes idle connections
        self._idle_since = self.loop.time()
        if self.transport.is_closing():
            self._deadline = self._after(self._limits.reader_s)
        elif self._reading is _Reading.NOTHING and not self._unanswered:
            unread = self.transport.get_write_buffer_size()
            self._deadline = self._after(self._limits.reader_s if unread else self._limits.idle_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stuck_since = None

    def end_overdue(self, now: float) -> None:
        if self._stuck_since is not None and now - self._stuck_since >= self._limits.reader_s:
            self.end(CloseReason.SLOW_READER)
        elif now >= self._deadline:
            self._end_overdue()

    def end(self, reason: CloseReason) -> None:
        self._connections.closed[reason] += 1
        self.transport.abort()

    def _end_overdue(self) -> None:
        if self.transport.is_closing():
            self.end(CloseReason.SLOW_READER)
            return
        match self._reading:
            case _Reading.NOTHING:
                self.end(CloseReason.IDLE)
            case _Reading.HEAD:
                detail = f"the headers took longer than {self._limits.head_s:g} s"
                self._refuse(_Refused(CloseReason.HEAD_TIMEOUT, REQUEST_TIMEOUT, detail))
            case _Reading.BODY:
                detail = f"the body took longer than {self._limits.body_s:g} s"
                self._refuse(_Refused(CloseReason.BODY_TIMEOUT, REQUEST_TIMEOUT, detail))
            case _Reading.REFUSED:
                self.transport.abort()
            case _:
                assert_never(self._reading)

    def _refuse(self, refused: _Refused) -> None:
        """Answer with a problem and close; without an answer where it would follow another one."""
        if self._unanswered and not self._application_waits():
            self.end(refused.reason)
            return
        self._connections.closed[refused.reason] += 1
        if self._reading is not _Reading.BODY or self._unanswered:
            headers = self.server_state.default_headers
            self.transport.write(raw_problem(refused.kind, str(refused), headers))
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._reading = _Reading.REFUSED
        self._begin_part(self._limits.linger_s)
        self.flow.resume_reading()
        self.transport.write_eof()

    def _application_waits(self) -> bool:
        """True if the one unanswered request is the one whose body is being read."""
        return (
            self._reading is _Reading.BODY
            and len(self._unanswered) == 1
            and not self._unanswered[0].response_started
        )

    def _discard(self, received: int) -> None:
        self._received += received
        if self._received > self._limits.linger_bytes:
            self.transport.abort()

    def _begin_part(self, allowed_s: float) -> None:
        self._received = self._parsed = self._header_count = 0
        self._deadline = self._after(allowed_s)

    def _after(self, seconds: float) -> float:
        return self.loop.time() + seconds

    def _count_received(self, received: int) -> None:
        self._received += received
        if self._reading is not _Reading.BODY:
            self._check_head(self._received)
        elif self._received > self._limits.body_bytes:
            detail = f"a body may have {self._limits.body_bytes} bytes with its framing; send less"
            raise _Refused(CloseReason.BODY_TOO_LARGE, REQUEST_TOO_LARGE, detail)

    def _count_parsed(self, size: int) -> None:
        self._parsed += size
        self._check_head(self._parsed)

    def _check_head(self, size: int) -> None:
        limits = self._limits
        if size <= limits.head_bytes and self._header_count <= limits.headers:
            return
        if len(self.url) > limits.head_bytes:
            detail = f"request line and headers may have {limits.head_bytes} bytes"
            raise _Refused(CloseReason.HEAD_TOO_LARGE, URL_TOO_LONG, detail)
        detail = f"at most {limits.headers} headers, and {limits.head_bytes} bytes of head"
        raise _Refused(CloseReason.HEAD_TOO_LARGE, HEAD_TOO_LARGE, detail)


def _cause(error: httptools.HttpParserError) -> _Refused:
    """What a callback has raised through the parser, or the parser's own error."""
    if isinstance(error.__context__, _Refused):
        return error.__context__
    # A callback's error says only which callback it was.
    words = "" if isinstance(error, httptools.HttpParserCallbackError) else f": {error}"
    detail = f"this is not an HTTP/1.1 request{words}"
    return _Refused(CloseReason.MALFORMED, REQUEST_INVALID, detail)
