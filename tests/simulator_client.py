"""A plain WebSocket and HTTP client of the simulator: it hides nothing of the wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import orjson
from aiohttp import WSMsgType

from tests.time_limits import TIMEOUT_S


class StreamConnection:
    """One open stream connection. Pings are received as frames and not answered."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._next_id = 0

    def pause_reading(self) -> None:
        """Stop reading from the network."""
        connection = self.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.pause_reading()

    async def receive_frame(self) -> aiohttp.WSMessage:
        with anyio.fail_after(TIMEOUT_S):
            return await self.socket.receive()

    async def receive_text(self) -> str:
        while (frame := await self.receive_frame()).type is not WSMsgType.TEXT:
            assert frame.type in {WSMsgType.PING, WSMsgType.PONG}, frame
        return str(frame.data)

    async def receive_message(self) -> Any:
        return orjson.loads(await self.receive_text())

    async def close_code(self) -> int:
        """The code of the close frame, frames before it skipped; 1006 without one."""
        while (frame := await self.receive_frame()).type not in {WSMsgType.CLOSE, WSMsgType.CLOSED}:
            assert frame.type is not WSMsgType.ERROR
        return int(self.socket.close_code or 0)

    async def send(self, request: Any) -> None:
        """Send a JSON message, or plain text."""
        await self.socket.send_str(request if isinstance(request, str) else _dumps(request))

    async def request(self, method: str, params: Any = None) -> tuple[Any, list[Any]]:
        """Send a control message.

        Returns:
            Its reply, and the market data that came before it.
        """
        self._next_id += 1
        request = {"method": method, "id": self._next_id}
        await self.send(request if params is None else {**request, "params": params})
        before = []
        while (message := await self.receive_message()).get("id") != self._next_id:
            before.append(message)
        return message, before


class SimulatorClient:
    """Connections, requests and faults of one running simulator."""

    def __init__(self, session: aiohttp.ClientSession, urls: dict[str, str]) -> None:
        self.session = session
        self.urls = urls

    @asynccontextmanager
    async def connect(self, venue: str, path: str) -> AsyncIterator[StreamConnection]:
        """A connection to `path` of the stream port of *venue*."""
        url = self.urls[f"{venue}_ws_url"] + path
        async with self.session.ws_connect(
            url,
            autoping=False,
            max_msg_size=1 << 24,
            timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
        ) as socket:
            yield StreamConnection(socket)

    async def rest(self, venue: str, path: str) -> tuple[int, Any, dict[str, str]]:
        """Status, parsed body and headers of a GET."""
        url = self.urls[f"{venue}_rest_url"] + path
        with anyio.fail_after(TIMEOUT_S):
            async with self.session.get(url) as response:
                return response.status, await response.json(), dict(response.headers)

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed body of a control plane request."""
        data = None if body is None else body if isinstance(body, bytes) else _dumps(body)
        url = self.urls["control_url"] + path
        with anyio.fail_after(TIMEOUT_S):
            async with self.session.request(method, url, data=data) as response:
                return response.status, await response.json()

    async def arm(self, on: str, do: str, **limits: int) -> None:
        status, answer = await self.control("POST", "/sim/faults", {"on": on, "do": do, **limits})
        assert status == 201, answer

    async def list_symbol(self, venue: str, symbol: str, **fields: Any) -> Any:
        """List *symbol* now; *fields* are those of `POST /sim/listings`."""
        body = {"venue": venue, "symbol": symbol, **fields}
        status, answer = await self.control("POST", "/sim/listings", body)
        assert status == 201, answer
        return answer

    async def change_symbol(self, venue: str, symbol: str, **fields: Any) -> Any:
        """Change a listed symbol; `status=None` delists it."""
        status, answer = await self.control("POST", f"/sim/symbols/{venue}/{symbol}", fields)
        assert status == 200, answer
        return answer

    async def fired(self) -> list[int]:
        """How often each armed fault fired."""
        _, answer = await self.control("GET", "/sim/faults")
        return [fault["fired"] for fault in answer["faults"]]


@asynccontextmanager
async def simulator_client(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with aiohttp.ClientSession() as session:
        # aiohttp sends a GET again when its connection drops; a fault must be seen.
        session._retry_connection = False
        yield SimulatorClient(session, urls)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
