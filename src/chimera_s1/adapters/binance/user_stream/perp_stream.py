"""The futures account's stream: a socket on `/private` that names a listen key.

Sources: USD-M "User Data Streams", "Important WebSocket Change Notice". An unknown or expired key
is accepted and delivers nothing, and so may be a form of the URL; an open socket proves neither.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import assert_never

import anyio
import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS
from chimera_s1.adapters.binance.streams.socket_dial import SocketAddress
from chimera_s1.adapters.binance.user_stream.event_reading import UserEvent, read_event
from chimera_s1.adapters.binance.user_stream.listen_key import (
    KEEP_ALIVE_MS,
    ListenKey,
    ListenKeyRequests,
)
from chimera_s1.adapters.binance.user_stream.perp_events import (
    KEY_EXPIRED,
    PERP_EVENTS,
    SHUTDOWN,
    WANTED_EVENTS,
)
from chimera_s1.adapters.binance.user_stream.private_connection import (
    PrivateConnection,
    StreamSetup,
)
from chimera_s1.adapters.binance.user_stream.private_socket import PrivateSocket
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.account_stream import StreamEvent, StreamReport

_log = logging.getLogger(__name__)


class UrlForm(StrEnum):
    """Where the URL names the key; reports about what production delivers differ."""

    QUERY = "query"
    PATH = "path"

    @property
    def other(self) -> "UrlForm":
        return UrlForm.PATH if self is UrlForm.QUERY else UrlForm.QUERY

    def url(self, ws_url: str, key: str) -> str:
        match self:
            case UrlForm.QUERY:
                events = "/".join(WANTED_EVENTS)
                return f"{ws_url}/private/ws?listenKey={key}&events={events}"
            case UrlForm.PATH:
                return f"{ws_url}/private/ws/{key}"
            case _:
                assert_never(self)


class UrlForms:
    """Which form of the URL the next dial uses: the first event decides.

    A form that has never delivered is left after one deaf connection, one that has after two.
    """

    def __init__(self) -> None:
        self.current = UrlForm.QUERY
        self._proven: set[UrlForm] = set()
        self._deaf = 0

    def delivered(self, form: UrlForm) -> None:
        self._proven.add(form)
        self._deaf = 0

    def was_deaf(self) -> None:
        """A connection of the current form should have delivered, and delivered nothing."""
        self._deaf += 1
        if self._deaf >= (2 if self.current in self._proven else 1):
            self.current, self._deaf = self.current.other, 0


class PerpAccountStream:
    """Implements `domain.ports.account_stream.AccountStream`."""

    venue = Venue.PERP

    def __init__(
        self,
        endpoints: Endpoints,
        requests: ListenKeyRequests,
        setup: StreamSetup,
        keep_alive_ms: int = KEEP_ALIVE_MS,
    ) -> None:
        self.forms = UrlForms()
        self._endpoints = endpoints
        self._key = ListenKey(requests, setup.clock, keep_alive_ms)
        self.connection = PrivateConnection(self.venue, setup, self._new_session)

    async def run(self, deliver: Callable[[StreamEvent], None]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._key.keep_alive, self.connection.reconnect)
            await self.connection.run(deliver)

    def renew(self, cause: str) -> None:
        if not self.connection.has_delivered:
            self.forms.was_deaf()
            _log.warning(
                "private stream of perp: no event since it was connected (%s); dialling with the "
                "key in the %s of the URL",
                cause,
                self.forms.current,
            )
        self.connection.reconnect(cause)

    def report(self) -> StreamReport:
        return self.connection.report(self._key.problem)

    def _new_session(self) -> "_PerpSession":
        return _PerpSession(self._endpoints, self._key, self.forms, self.connection.take)


class _KeyExpired(Struct):
    """`E` may be text; it is not needed."""

    listenKey: str = ""  # noqa: N815 (Binance's name)


class _PerpSession:
    """Implements `private_socket.PrivateSession`: one listen key on one socket."""

    def __init__(
        self,
        endpoints: Endpoints,
        key: ListenKey,
        forms: UrlForms,
        take: Callable[[UserEvent, int], None],
    ) -> None:
        self._endpoints = endpoints
        self._key = key
        self._forms = forms
        self._form = forms.current
        self._take = take
        self._opened_key = ""

    async def prepare(self) -> SocketAddress:
        self._form = self._forms.current
        self._opened_key = await self._key.open()
        url = self._form.url(self._endpoints.ws_url, self._opened_key)
        return SocketAddress(url, self._endpoints.egress, secret=self._opened_key)

    def opened(self, socket: PrivateSocket) -> None:
        if self._key.is_current(self._opened_key):
            socket.set_ready()
        else:
            socket.end("the listenKey was replaced while its socket was dialled")

    def received(self, socket: PrivateSocket, payload: bytes, received_ms: int) -> None:
        event = read_event(payload, PERP_EVENTS)
        if event.name:
            self._forms.delivered(self._form)
        if event.name == SHUTDOWN:
            socket.announce_shutdown()
        elif event.name == KEY_EXPIRED:
            # The socket stays open and is silent from now on.
            if self._is_of_this_key(payload):
                socket.end("the listenKey has expired")
        else:
            self._take(event, received_ms)

    def dropped(self, reason: str, received_ms: int) -> None:
        problem = f"a message cannot be read: {sanitize(reason)}"
        self._take(UserEvent(name="", problem=problem), received_ms)

    def _is_of_this_key(self, payload: bytes) -> bool:
        try:
            expired = msgspec.json.decode(payload, type=_KeyExpired).listenKey
        except DECODE_ERRORS:
            return True
        return not expired or expired == self._opened_key
