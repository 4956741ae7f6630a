"""Quotes as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import Iterable

import anyio
import msgspec
from litestar.types import Receive, Scope, Send

from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.quote_board import (
    PostedQuote,
    QuoteBoard,
    QuoteFilter,
    QuoteSubscription,
    Unread,
)
from chimera_s1.app.capabilities.market.web.schemas import QuoteView, StatusView
from chimera_s1.domain.identifiers import InstrumentId

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE_S = 15.0
"""Common proxies close a response that is silent for 30 s."""

RECONNECT_MS = 2000
KEEP_ALIVE = b": nothing new\n\n"

_encode = msgspec.json.encode
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
)


class QuoteEvents:
    """ASGI response that streams a subscription until the reader disconnects or the board closes.

    While the reader's socket is full, the subscription keeps the newest quote of each instrument.
    The kernel drops a reader that takes nothing: see `server.bind`.
    """

    def __init__(
        self,
        board: QuoteBoard,
        chosen: QuoteFilter,
        status: CurrentStatus,
        actor: str,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._board = board
        self._chosen = chosen
        self._status = status
        self._actor = actor
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        """Serve one request.

        Raises:
            TooManyOfActorError, TooManySubscribersError, BoardClosedError: Before anything is sent.
        """
        async with (
            self._board.subscribe(self._chosen, self._actor) as subscription,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_cancel_when_gone, receive, tasks.cancel_scope)
            await self._write(subscription, send)
            tasks.cancel_scope.cancel()

    async def _write(self, subscription: QuoteSubscription, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        # Sent at once: in a silent market the reader must see that it is connected.
        opening = f": {subscription.pending} quotes to begin with\nretry: {RECONNECT_MS}\n\n"
        await _send_part(send, opening.encode())
        while True:
            part = KEEP_ALIVE
            with anyio.move_on_after(self._keep_alive_s):
                try:
                    part = encode_unread(await anext(subscription), self._status)
                except StopAsyncIteration:
                    break
            await _send_part(send, part)
        await _send_part(send, b"", more=False)


def encode_unread(unread: Unread, status: CurrentStatus) -> bytes:
    """The events that are named `status`, then those named `quote`."""
    return encode_statuses(unread.changed, status) + encode_quotes(unread.quotes, status)


def encode_quotes(quotes: Iterable[PostedQuote], status: CurrentStatus) -> bytes:
    """One event for each quote; its id is the quote's number on the board."""
    return b"".join(
        b"id: %d\nevent: quote\ndata: %s\n\n"
        % (entry.number, _encode(QuoteView.of(entry.quote, status)))
        for entry in quotes
    )


def encode_statuses(instruments: Iterable[InstrumentId], status: CurrentStatus) -> bytes:
    """One event for each instrument with its present status; without an id."""
    found = (status.of(instrument) for instrument in instruments)
    return b"".join(
        b"event: status\ndata: %s\n\n" % _encode(StatusView.of(each))
        for each in found
        if each is not None
    )


async def _send_part(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    scope.cancel()
