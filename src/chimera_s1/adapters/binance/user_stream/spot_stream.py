"""The spot account's stream: a signed subscription of the WebSocket API.

Source: SPOT user-data-stream.md and web-socket-api.md, "Subscribe to User Data Stream through
signature subscription". It needs no keep-alive; after every loss it is signed again. Events are
wrapped as `{"subscriptionId":0,"event":{..}}`.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.account_key import KeySource
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.reply_classification import TIMESTAMP_CODE, sanitize
from chimera_s1.adapters.binance.http.signing import Signer
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES
from chimera_s1.adapters.binance.streams.book_messages import DECODE_ERRORS
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.socket_dial import SocketAddress
from chimera_s1.adapters.binance.user_stream.event_reading import UserEvent, read_event
from chimera_s1.adapters.binance.user_stream.private_connection import (
    PrivateConnection,
    StreamSetup,
)
from chimera_s1.adapters.binance.user_stream.private_socket import PrivateSocket
from chimera_s1.adapters.binance.user_stream.spot_events import (
    SHUTDOWN,
    SPOT_EVENTS,
    SUBSCRIPTION_ENDED,
)
from chimera_s1.domain.errors import ChimeraError, ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.account_stream import StreamEvent, StreamReport

SUBSCRIBE: Final = "userDataStream.subscribe.signature"
REQUEST_ID: Final = "subscribe"
ALREADY_SUBSCRIBED_CODE: Final = -2035


class _ErrorData(Struct):
    """Exchange epoch ms, unlike the header `Retry-After`."""

    serverTime: int = 0  # noqa: N815 (Binance's name)
    retryAfter: int = 0  # noqa: N815


class _Error(Struct):
    code: int = 0
    msg: str = ""
    data: _ErrorData | None = None


class _Message(Struct):
    """A reply has a *status*, everything else an *event*."""

    status: int | None = None
    error: _Error | None = None
    event: Raw = Raw()


_message_decoder = msgspec.json.Decoder(_Message)


class SpotAccountStream:
    """Implements `domain.ports.account_stream.AccountStream`.

    Args:
        key: Signs each subscription with the key that is in use then.
        on_clock_suspect: Called when the exchange refuses a timestamp.
    """

    venue = Venue.SPOT

    def __init__(
        self,
        endpoints: Endpoints,
        key: KeySource,
        setup: StreamSetup,
        on_clock_suspect: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoints = endpoints
        self._key = key
        self._gate = setup.gate
        self._on_clock_suspect = on_clock_suspect
        self.connection = PrivateConnection(self.venue, setup, self._new_session)

    async def run(self, deliver: Callable[[StreamEvent], None]) -> None:
        await self.connection.run(deliver)

    def renew(self, cause: str) -> None:
        self.connection.reconnect(cause)

    def report(self) -> StreamReport:
        return self.connection.report()

    def _new_session(self) -> "_SpotSession":
        address = SocketAddress(self._endpoints.ws_api_url, self._endpoints.egress)
        return _SpotSession(
            address, self._key, self._gate, self.connection.take, self._on_clock_suspect
        )


class _SpotSession:
    """Implements `private_socket.PrivateSession`: one subscription."""

    def __init__(
        self,
        address: SocketAddress,
        key: KeySource,
        gate: DialGate,
        take: Callable[[UserEvent, int], None],
        on_clock_suspect: Callable[[], None],
    ) -> None:
        self._address = address
        self._key = key
        self._gate = gate
        self._take = take
        self._on_clock_suspect = on_clock_suspect
        self._signer: Signer | None = None

    async def prepare(self) -> SocketAddress:
        key = await self._key()
        if key is None:
            raise ConfigurationError("no exchange key: set S1_BINANCE_KEY and S1_BINANCE_SECRET")
        if not self._address.url:
            raise ConfigurationError("no spot WebSocket API: set S1_BINANCE_SPOT_WS_API_URL")
        self._signer = key.signer
        # Without a clock the subscription cannot be signed: then nothing is dialled.
        self._signer.timestamp_ms()
        return self._address

    def opened(self, socket: PrivateSocket) -> None:
        assert self._signer is not None, "`prepare` comes first"
        try:
            params = self._signer.sign_fields({})
        except ChimeraError as error:
            socket.end(f"cannot sign the subscription: {error}")
            return
        request = {"id": REQUEST_ID, "method": SUBSCRIBE, "params": params}
        socket.send(msgspec.json.encode(request))

    def received(self, socket: PrivateSocket, payload: bytes, received_ms: int) -> None:
        try:
            message = _message_decoder.decode(payload)
        except DECODE_ERRORS as error:
            self._take(_unreadable(str(error)), received_ms)
            return
        if message.status is not None:
            self._on_reply(socket, message.status, message.error)
            return
        # An event without its envelope is read as one.
        event = read_event(bytes(message.event) or payload, SPOT_EVENTS)
        if event.name == SHUTDOWN:
            socket.announce_shutdown()
        elif event.name == SUBSCRIPTION_ENDED:
            socket.end("the venue ended the subscription (eventStreamTerminated)")
        else:
            self._take(event, received_ms)

    def dropped(self, reason: str, received_ms: int) -> None:
        self._take(_unreadable(reason), received_ms)

    def _on_reply(self, socket: PrivateSocket, status: int, error: _Error | None) -> None:
        if status == HTTPStatus.OK or (error and error.code == ALREADY_SUBSCRIBED_CODE):
            socket.set_ready()
            return
        error = error or _Error()
        if status in RATE_LIMITED_STATUSES:
            data = error.data or _ErrorData()
            wait_ms = data.retryAfter - data.serverTime if data.serverTime else 0
            self._gate.record_limited_reply(status, wait_ms, error.msg)
        if error.code == TIMESTAMP_CODE:
            self._on_clock_suspect()
        words = f"{status} {error.code} {sanitize(error.msg)}".rstrip()
        socket.end(f"{SUBSCRIBE} was refused: {words}")


def _unreadable(reason: str) -> UserEvent:
    return UserEvent(name="", problem=f"a message cannot be read: {sanitize(reason)}")
