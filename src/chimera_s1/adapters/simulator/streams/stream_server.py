"""The WebSocket port of one venue, and the deadlines of its connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from picows import (
    WSUpgradeRequest,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from chimera_s1.adapters.simulator.streams.connection import Connection
from chimera_s1.adapters.simulator.streams.connection_rules import CONNECTION_RULES
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamRoute, parse_path

_WS_API_PATH = "/ws-api/v3"


@asynccontextmanager
async def stream_server(
    hub: StreamHub,
    host: str,
    port: int,
    *,
    open_ws_api: Callable[[], Connection] | None = None,
) -> AsyncIterator[int]:
    """Listen while the context lasts, then abort all connections; yields the bound port.

    Args:
        hub: Gets the connections.
        host: Address to listen on.
        port: 0 means any free one.
        open_ws_api: Makes a connection of the WebSocket API; None where the venue has none.

    Raises:
        OSError: The address cannot be bound.
    """
    rules = CONNECTION_RULES[hub.venue]

    def listener(request: WSUpgradeRequest) -> Connection | WSUpgradeResponseWithListener | None:
        target = request.path.decode("utf-8", "replace")
        is_ws_api = open_ws_api is not None and target.partition("?")[0] == _WS_API_PATH
        path = None if is_ws_api else parse_path(hub.venue, target)
        is_private = path is not None and path.route is StreamRoute.PRIVATE
        if refusal := hub.handshake_refusal(user_stream=is_ws_api or is_private):
            return WSUpgradeResponseWithListener(refusal, None)
        if open_ws_api is not None and is_ws_api:
            return open_ws_api()
        if path is None:
            hub.report_unknown_path(target.partition("?")[0])
            return None
        return Session(path, rules, hub.clock, hub)

    server: asyncio.Server = await ws_create_server(
        listener, host, port, enable_auto_pong=False, max_frame_size=1 << 20
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in hub.connections:
            connection.abort()


async def enforce_deadlines(hub: StreamHub) -> None:
    """Pings, pong deadlines and the 24 h limit, in exchange time, until cancelled."""
    every_ms = CONNECTION_RULES[hub.venue].ping_every_ms
    while True:
        now_ms = hub.clock.now_ms()
        due = [connection.check_deadlines(now_ms) for connection in hub.connections]
        # A connection opened meanwhile is due no earlier than one ping interval from now.
        await hub.clock.sleep_until(min(due, default=now_ms + every_ms))
