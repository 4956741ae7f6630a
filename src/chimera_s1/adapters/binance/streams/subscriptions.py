"""Control messages of a market data socket: subscribe requests and the venue's replies.

Errors have two shapes, `{"code":2,"msg":".."}` and `{"error":{"code":2,"msg":".."},"id":7}` (both
seen on futures). `{"result":null}` only says that the request could be parsed.
"""

from collections import deque
from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS
from chimera_s1.domain.identifiers import Venue

STREAMS_PER_REQUEST = 200
"""Stream names in one SUBSCRIBE; 200 were measured to work on futures."""


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


class SubscribeRequests:
    """The SUBSCRIBE requests of a socket, with ids from 1.

    A refused request is repeated in halves, so that a name the venue does not accept costs no other
    name its stream.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.accepted = len(names)
        """Names that were not refused."""
        self._waiting = deque(
            tuple(names[start : start + STREAMS_PER_REQUEST])
            for start in range(0, len(names), STREAMS_PER_REQUEST)
        )
        self._sent: dict[int, tuple[str, ...]] = {}
        self._number = 0

    @property
    def unacknowledged(self) -> int:
        return len(self._sent)

    def next_request(self) -> bytes | None:
        """The next request to send; None if there is none now."""
        if not self._waiting:
            return None
        self._number += 1
        names = self._sent[self._number] = self._waiting.popleft()
        return msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": self._number})

    def acknowledge(self, number: int) -> None:
        self._sent.pop(number, None)

    def refuse(self, number: int) -> str:
        """The name that request *number* was about; empty if it is repeated in halves."""
        names = self._sent.pop(number, ())
        if len(names) == 1:
            self.accepted -= 1
            return names[0]
        if names:
            middle = len(names) // 2
            self._waiting += (names[:middle], names[middle:])
        return ""


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
