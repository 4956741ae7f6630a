"""The control plane takes no request of a web page, whatever name leads to it: raw HTTP."""

from collections.abc import AsyncIterator

import anyio
import pytest
from aiohttp import web

from chimera_s1.adapters.simulator.control.local_requests import refuse_foreign_requests
from chimera_s1.adapters.simulator.rest.rest_server import serve


class ControlPort:
    """Counts the requests that get through."""

    def __init__(self) -> None:
        self.port = 0
        self.handled = 0

    async def handle(self, _: web.Request) -> web.Response:
        self.handled += 1
        return web.Response(text="done")

    async def send(self, *headers: str, method: str = "POST") -> int:
        """The status of one request with *headers*, where PORT stands for the port."""
        lines = [f"{method} /sim/faults HTTP/1.1", *headers, "Content-Length: 0"]
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            await stream.send(text.replace("PORT", str(self.port)).encode())
            return int((await stream.receive()).split()[1])


@pytest.fixture
async def control() -> AsyncIterator[ControlPort]:
    port = ControlPort()
    application = web.Application(middlewares=[refuse_foreign_requests])
    application.router.add_route("*", "/sim/faults", port.handle)
    async with serve(application, "127.0.0.1", 0) as port.port:
        yield port


OWN = "Host: 127.0.0.1:PORT"


@pytest.mark.parametrize(
    "headers",
    [
        (OWN,),
        ("Host: localhost:PORT",),
        ("Host: LOCALHOST:PORT",),
        ("Host: [::1]:PORT",),
        ("Host: 127.0.0.1",),
        (OWN, "Content-Type: application/x-www-form-urlencoded"),  # curl -d
        (OWN, "Origin: http://127.0.0.1:PORT", "Sec-Fetch-Site: same-origin"),
        (OWN, "Sec-Fetch-Site: none"),
    ],
)
async def test_programs_of_this_machine_are_answered(
    headers: tuple[str, ...], control: ControlPort
) -> None:
    assert await control.send(*headers) == 200
    assert control.handled == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        ("Host: attacker.example:PORT",),
        ("Host: attacker.example",),
        ("Host: localhost.attacker.example:PORT",),
        ("Host: 127.0.0.1.attacker.example:PORT",),
        ("Host: 192.168.0.1:PORT",),
        ("Host: 0.0.0.0:PORT",),
        ("Host: user@127.0.0.1:PORT",),
        ("Host: 127.0.0.1:PORT/x",),
        ("Host:",),
        (OWN, "Origin: https://attacker.example"),
        (OWN, "Origin: http://localhost:3000"),
        (OWN, "Origin: null", "Content-Type: text/plain"),
        (OWN, "Sec-Fetch-Site: cross-site"),
        (OWN, "Sec-Fetch-Site: same-site"),
        (OWN, "Origin: http://127.0.0.1:PORT", "Sec-Fetch-Site: cross-site"),
    ],
)
async def test_web_pages_are_refused(
    method: str, headers: tuple[str, ...], control: ControlPort
) -> None:
    assert await control.send(*headers, method=method) in {400, 403}
    assert control.handled == 0


@pytest.mark.parametrize("headers", [(), (OWN, OWN)])
async def test_one_host_is_named(headers: tuple[str, ...], control: ControlPort) -> None:
    assert await control.send(*headers) in {400, 403}
    assert control.handled == 0
