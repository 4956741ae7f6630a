"""A plain client of the simulator's spot user stream: the WebSocket API."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.simulator_client import SimulatorClient
from tests.time_limits import TIMEOUT_S

Message = dict[str, Any]


class UserStream:
    """One connection of the WebSocket API."""

    def __init__(self, wire: ClientWebSocketResponse, urls: dict[str, str]) -> None:
        self._wire = wire
        self._urls = urls

    async def call(self, method: str, **params: Any) -> Message:
        await self._wire.send_str(
            orjson.dumps({"id": "u1", "method": method, "params": params}).decode()
        )
        return await self.receive()

    async def subscribe(self, now_ms: int, **extra: Any) -> Message:
        params = {"apiKey": self._urls["api_key"], "timestamp": now_ms, **extra}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = hmac.new(
            self._urls["api_secret"].encode(), payload.encode(), hashlib.sha256
        ).hexdigest()
        return await self.call("userDataStream.subscribe.signature", **params, signature=signature)

    async def receive(self) -> Message:
        message: Message = orjson.loads((await self._wire.receive(timeout=TIMEOUT_S)).data)
        return message

    async def receive_type(self) -> WSMsgType:
        return (await self._wire.receive(timeout=TIMEOUT_S)).type


@asynccontextmanager
async def opened(urls: dict[str, str]) -> AsyncIterator[UserStream]:
    async with (
        ClientSession() as session,
        session.ws_connect(f"{urls['spot_ws_url']}/ws-api/v3") as wire,
    ):
        yield UserStream(wire, urls)


@asynccontextmanager
async def subscribed(sim: SimulatorClient, urls: dict[str, str]) -> AsyncIterator[UserStream]:
    async with opened(urls) as stream:
        assert (await stream.subscribe(await now_ms(sim)))["result"] == {"subscriptionId": 0}
        yield stream


async def now_ms(sim: SimulatorClient) -> int:
    _, status = await sim.control("GET", "/sim/status")
    return int(status["clock"]["now_ms"])
