"""Control messages of a market data socket: subscription requests and the venue's replies.

Errors have two shapes, `{"code":2,"msg":".."}` and `{"error":{"code":2,"msg":".."},"id":7}` (both
seen on futures). `{"result":null}` only says that the request could be parsed.
"""

from collections import deque
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS
from chimera_s1.domain.identifiers import Venue

STREAMS_PER_REQUEST = 200
"""Stream names in one SUBSCRIBE; 200 were measured to work on futures."""

REPEATS_MAX = 2
"""How often a request without a reply is sent again. After that the watch of the streams decides:
a connection whose streams do not deliver is renewed.
"""


class RequestAcknowledged(Struct, frozen=True):
    """The request *id* could be parsed; not that its streams will deliver."""

    id: int


class RequestRefused(Struct, frozen=True):
    """*id* is None where the reply does not name the request."""

    id: int | None
    code: int
    message: str


class ShutdownAnnounced(Struct, frozen=True):
    """The venue will close this connection soon; the lead time is not documented."""


class UnreadableMessage(Struct, frozen=True):
    """Neither subscribed data nor a control message; *stream* is empty where it names none."""

    stream: str = ""


ControlMessage = RequestAcknowledged | RequestRefused | ShutdownAnnounced | UnreadableMessage


class _ErrorMember(Struct):
    code: int
    msg: str = ""


class _EventType(Struct):
    e: str = ""


class _ControlReply(Struct):
    id: int | None = None
    code: int | None = None
    msg: str = ""
    error: _ErrorMember | None = None
    e: str = ""
    stream: str = ""
    data: _EventType | None = None


_reply_decoder = msgspec.json.Decoder(_ControlReply, strict=False)


class _Method(StrEnum):
    SUBSCRIBE = "SUBSCRIBE"
    UNSUBSCRIBE = "UNSUBSCRIBE"


class _Request(Struct):
    method: _Method
    names: tuple[str, ...]
    times_sent: int = 0
    is_overdue: bool = False


class SubscriptionRequests:
    """The requests of a socket: to subscribe its streams, and to follow a changing selection.

    A refused SUBSCRIBE is repeated in halves, so that a name the venue does not accept costs no
    other name its stream. A request carries only names that still need it when it is sent.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._wanted = dict.fromkeys(names)
        self._waiting: deque[_Request] = deque()
        self._sent: dict[int, _Request] = {}
        self._number = 0
        self._queue(_Method.SUBSCRIBE, names)

    @property
    def accepted(self) -> int:
        """Names that are wanted and were not refused."""
        return len(self._wanted)

    @property
    def unacknowledged(self) -> int:
        return len(self._sent)

    def change(self, add: Sequence[str], remove: Collection[str]) -> None:
        """Unsubscribe *remove*, then subscribe *add*: the venue counts both at a time."""
        for name in remove:
            self._wanted.pop(name, None)
        self._wanted |= dict.fromkeys(add)
        self._queue(_Method.UNSUBSCRIBE, tuple(remove))
        self._queue(_Method.SUBSCRIBE, add)

    def next_request(self) -> bytes | None:
        """The next request to send; None if there is none now."""
        while self._waiting:
            request = self._waiting.popleft()
            request.names = tuple(name for name in request.names if self._needs(request, name))
            if not request.names:
                continue
            self._number += 1
            request.times_sent += 1
            request.is_overdue = False
            self._sent[self._number] = request
            params = {"method": request.method, "params": request.names, "id": self._number}
            return msgspec.json.encode(params)
        return None

    def acknowledge(self, number: int) -> None:
        self._sent.pop(number, None)

    def repeat_overdue(self) -> None:
        """Queue again what has no reply since the last call, at most `REPEATS_MAX` times each."""
        for number, request in tuple(self._sent.items()):
            if request.is_overdue and request.times_sent <= REPEATS_MAX:
                del self._sent[number]
                self._waiting.append(request)
            request.is_overdue = True

    def refuse(self, number: int) -> str:
        """The stream whose SUBSCRIBE, request *number*, was refused; empty if the request is
        repeated in halves, was no SUBSCRIBE, or is out of date: its stream was removed since.
        """
        request = self._sent.pop(number, None)
        if request is None or request.method is _Method.UNSUBSCRIBE:
            return ""  # its frames are dropped, and the next socket does not subscribe it
        names = request.names
        if len(names) == 1:
            if names[0] not in self._wanted or self._is_requested_again(names[0]):
                return ""
            self._wanted.pop(names[0], None)
            return names[0]
        middle = len(names) // 2
        self._waiting += (
            _Request(request.method, part) for part in (names[:middle], names[middle:])
        )
        return ""

    def _queue(self, method: _Method, names: Sequence[str]) -> None:
        for start in range(0, len(names), STREAMS_PER_REQUEST):
            self._waiting.append(
                _Request(method, tuple(names[start : start + STREAMS_PER_REQUEST]))
            )

    def _is_requested_again(self, name: str) -> bool:
        """Whether a later SUBSCRIBE carries *name*: it was removed and added again."""
        return any(
            request.method is _Method.SUBSCRIBE and name in request.names
            for request in (*self._waiting, *self._sent.values())
        )

    def _needs(self, request: _Request, name: str) -> bool:
        return (name in self._wanted) is (request.method is _Method.SUBSCRIBE)


def decode_control_message(payload: bytes) -> ControlMessage:
    try:
        reply = _reply_decoder.decode(payload)
    except DECODE_ERRORS:
        return UnreadableMessage()
    if reply.e == "serverShutdown" or (reply.data is not None and reply.data.e == "serverShutdown"):
        return ShutdownAnnounced()
    if reply.error is not None:
        return RequestRefused(reply.id, reply.error.code, reply.error.msg)
    if reply.code is not None:
        return RequestRefused(reply.id, reply.code, reply.msg)
    if reply.id is None or reply.stream:
        return UnreadableMessage(reply.stream)
    return RequestAcknowledged(reply.id)


def message_interval_ms(venue: Venue) -> float:
    """The pause between two requests.

    Spot disconnects above 5 messages a second, futures above 10; pings and pongs count too. So
    requests use half of that at most.
    """
    match venue:
        case Venue.SPOT:
            return 400.0
        case Venue.PERP:
            return 200.0
        case _:
            assert_never(venue)
