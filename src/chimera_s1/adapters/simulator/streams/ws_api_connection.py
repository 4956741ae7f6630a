"""One connection of the spot WebSocket API, with its subscription to the account's events.

Binance, Spot "WebSocket API" and "User Data Stream requests".
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import orjson

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.streams.connection import Connection
from chimera_s1.adapters.simulator.streams.connection_rules import WS_API_RULES
from chimera_s1.adapters.simulator.streams.frames import binary_frame
from chimera_s1.adapters.simulator.streams.user_stream_faults import UserEvent

_SUBSCRIBED = b'{"subscriptionId":%d,"event":%b}'

Parameters = Mapping[str, Any]
Spend = Callable[[str], LimitReply | None]


class WsApiOwner(Protocol):
    """Keeps the connections of the WebSocket API."""

    def add(self, connection: "WsApiConnection") -> None: ...

    def remove(self, connection: "WsApiConnection") -> None: ...


class WsApiConnection(Connection):
    """One account subscribes at most once; a later subscription gets another id."""

    def __init__(
        self,
        clock: ScaledClock,
        owner: WsApiOwner,
        authenticate: Callable[[Parameters], None],
        spend: Spend,
        report_missing: Callable[[str], None],
    ) -> None:
        """Create a connection that is not open yet.

        Args:
            clock: The exchange's.
            owner: Learns when it opens and closes.
            authenticate: Raises BinanceError unless the parameters are signed and may read.
            spend: Counts one request of an address; the refusal, if a limit is passed.
            report_missing: Called with each method that is not simulated.
        """
        super().__init__(WS_API_RULES, clock)
        self._owner = owner
        self._authenticate = authenticate
        self._spend = spend
        self._report_missing = report_missing
        self._opened_ms = clock.now_ms()
        self._subscription: int | None = None
        self._next_subscription = 0
        self._methods: Mapping[str, Callable[[Parameters], object]] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": self._clock.now_ms()},
            "session.status": lambda _: self._session_status(),
            "session.logon": self._log_on,
            "userDataStream.subscribe.signature": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    @property
    def is_user_stream(self) -> bool:
        return True

    def on_opened(self) -> None:
        self._owner.add(self)

    def on_closed(self) -> None:
        self._owner.remove(self)

    def shutdown_notice(self, now_ms: int) -> bytes:
        return b'{"event":{"e":"serverShutdown","E":%d}}' % now_ms

    def can_apply(self, kind: FaultKind) -> bool:
        if kind is FaultKind.END_SUBSCRIPTION:
            return self._subscription is not None and not self.muted and not self.silent
        return super().can_apply(kind)

    def end_subscription(self, now_ms: int) -> None:
        """Say that the subscription has ended; the socket stays open."""
        if self._subscription is not None:
            event = b'{"e":"eventStreamTerminated","E":%d}' % now_ms
            self.send_text(_SUBSCRIBED % (self._subscription, event))
            self._subscription = None

    def deliver(self, event: UserEvent) -> None:
        """Send *event* if this connection is subscribed and not silent."""
        if self._subscription is None or self.silent:
            return
        self.delivered = True
        if event.binary:
            self.outbox.append(binary_frame(event.payload))
            self.flush()
        else:
            self.send_text(_SUBSCRIBED % (self._subscription, event.payload))

    def on_text(self, text: bytes) -> None:
        identifier, method, parameters = _parsed(text)
        refusal = self._spend(self.remote_address)
        if refusal is not None:
            self._send_refusal(identifier, refusal)
            return
        try:
            result = self._execute(method, parameters)
        except BinanceError as error:
            self._send_error(identifier, error)
        else:
            reply = {"id": identifier, "status": int(HTTPStatus.OK), "result": result}
            self.send_text(orjson.dumps(reply))

    def _execute(self, method: str, parameters: Parameters) -> object:
        execute = self._methods.get(method)
        if execute is None:
            self._report_missing(method)
            raise BinanceError(-1020, "This operation is not supported.")
        return execute(parameters)

    def _session_status(self) -> object:
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self._opened_ms,
            "serverTime": self._clock.now_ms(),
        }

    def _log_on(self, _: Parameters) -> object:
        """Refused: the account's key is an HMAC key, and a session needs an Ed25519 key."""
        raise BinanceError(-4056, "HMAC_SHA256 API key is not supported.")

    def _subscribe(self, parameters: Parameters) -> object:
        self._authenticate(parameters)
        if self._subscription is not None:
            raise BinanceError(-2035, "User Data Stream subscription already active.")
        self._subscription, self._next_subscription = (
            self._next_subscription,
            self._next_subscription + 1,
        )
        return {"subscriptionId": self._subscription}

    def _unsubscribe(self, parameters: Parameters) -> object:
        wanted = parameters.get("subscriptionId", self._subscription)
        if self._subscription is None or wanted != self._subscription:
            raise BinanceError(-2036, "User Data Stream subscription not active.")
        self._subscription = None
        return {}

    def _send_error(self, identifier: object, error: BinanceError) -> None:
        body = {"code": error.code, "msg": error.message}
        reply = {"id": identifier, "status": int(error.status), "error": body}
        self.send_text(orjson.dumps(reply))

    def _send_refusal(self, identifier: object, refusal: LimitReply) -> None:
        """Unlike the header `Retry-After`, `retryAfter` is a time: epoch ms."""
        now_ms = self._clock.now_ms()
        retry_ms = now_ms + 1000 * int(refusal.headers.get("Retry-After", "0"))
        body = orjson.loads(refusal.body) | {"data": {"serverTime": now_ms, "retryAfter": retry_ms}}
        reply = {"id": identifier, "status": int(refusal.status), "error": body}
        self.send_text(orjson.dumps(reply))


def _parsed(text: bytes) -> tuple[object, str, Parameters]:
    """Id, method and parameters; nothing of what has another form."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict):
        return None, "", {}
    parameters = request.get("params")
    return (
        request.get("id"),
        str(request.get("method", "")),
        parameters if isinstance(parameters, dict) else {},
    )
