"""Requests that place or cancel an order: signed first, sent once."""

from collections.abc import Callable
from typing import Final, assert_never

from msgspec import Struct

from chimera_s1.adapters.binance.http.client import (
    HttpClient,
    HttpTimeouts,
    NoReply,
    NotAdmitted,
    NotSent,
    whole_wait_ms,
)
from chimera_s1.adapters.binance.http.signed_request import (
    BinanceSignedRequest,
    Method,
    RequestTarget,
)
from chimera_s1.adapters.binance.http.signing import Signer
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.orders import request_calls
from chimera_s1.adapters.binance.orders.order_parameters import (
    PATHS,
    Pairs,
    cancel_parameters,
    place_parameters,
    place_path,
)
from chimera_s1.adapters.binance.orders.order_reply import read_cancel_reply, read_order_reply
from chimera_s1.domain.execution.order_request import OrderRef, OrderRequest, ref_of
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderReply,
    OutcomeUnknown,
    RequestNotSent,
    RequestTurnedAway,
    SignedRequest,
)

RECV_WINDOW_MS: Final = 2_000
"""A request that is later than this dies at the exchange."""

_PLACE_TARGETS = {
    family: RequestTarget(Method.POST, place_path(family), call)
    for family, call in request_calls.PLACE.items()
}


class SignedOrderRequest(Struct, frozen=True, kw_only=True, eq=False):
    """Implements `domain.ports.order_gateway.SignedRequest`."""

    ref: OrderRef
    request: BinanceSignedRequest
    signed_at_ms: int
    recv_window_ms: int = RECV_WINDOW_MS

    @property
    def request_hash(self) -> str:
        return self.request.request_hash


class SignedPlacement(SignedOrderRequest, frozen=True, kw_only=True, eq=False):
    pass


class SignedCancel(SignedOrderRequest, frozen=True, kw_only=True, eq=False):
    pass


class OrderSender:
    def __init__(self, client: HttpClient, timeouts: HttpTimeouts) -> None:
        self._client = client
        self._timeouts = timeouts

    def sign_order(self, order: OrderRequest, signer: Signer, now_ms: int) -> SignedPlacement:
        """*now_ms* is the exchange's time."""
        ref = ref_of(order)
        parameters = _timed(place_parameters(order), now_ms)
        request = BinanceSignedRequest(_PLACE_TARGETS[ref.family], parameters, signer)
        return SignedPlacement(ref=ref, request=request, signed_at_ms=now_ms)

    def sign_cancel(self, ref: OrderRef, signer: Signer, now_ms: int) -> SignedCancel:
        call = request_calls.CANCEL[ref.family.venue]
        target = RequestTarget(Method.DELETE, PATHS[ref.family], call)
        request = BinanceSignedRequest(target, _timed(cancel_parameters(ref), now_ms), signer)
        return SignedCancel(ref=ref, request=request, signed_at_ms=now_ms)

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        """Raises:
        RuntimeError: It was sent before.
        TypeError: It is no placement that was signed here.
        """
        if not isinstance(signed, SignedPlacement):
            raise TypeError("this is not an order that was signed by this gateway")
        reply = await self._send(signed, obstacle)
        return read_order_reply(signed.ref, reply) if isinstance(reply, HttpReply) else reply

    async def send_cancel(self, signed: SignedRequest, obstacle: Callable[[], str]) -> CancelReply:
        """Raises:
        RuntimeError: It was sent before.
        TypeError: It is no cancel that was signed here.
        """
        if not isinstance(signed, SignedCancel):
            raise TypeError("this is not a cancel that was signed by this gateway")
        reply = await self._send(signed, obstacle)
        return read_cancel_reply(signed.ref, reply) if isinstance(reply, HttpReply) else reply

    async def _send(
        self, signed: SignedOrderRequest, obstacle: Callable[[], str]
    ) -> HttpReply | RequestTurnedAway | RequestNotSent | OutcomeUnknown:
        reply = await self._client.send_once(
            signed.ref.family.venue, signed.request, timeouts=self._timeouts, obstacle=obstacle
        )
        match reply:
            case HttpReply():
                return reply
            case NotAdmitted(cause=cause, wait_ms=wait_ms):
                return RequestTurnedAway(cause=cause, retry_after_ms=whole_wait_ms(wait_ms))
            case NotSent(cause=cause):
                return RequestNotSent(cause=cause)
            case NoReply(cause=cause):
                return OutcomeUnknown(cause=cause)
            case _:
                assert_never(reply)


def _timed(parameters: Pairs, now_ms: int) -> Pairs:
    yield from parameters
    yield "recvWindow", str(RECV_WINDOW_MS)
    yield "timestamp", str(now_ms)
