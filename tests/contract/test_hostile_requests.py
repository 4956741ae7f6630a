"""Hostile requests to the real service: each is refused, and none costs a line of the log, which
would fill the disk and hide what matters.
"""

from pathlib import Path

import anyio
import httpx2
from anyio.abc import SocketStream

from tests.contract.service_process import (
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

TIMES = 30
HOST = b"Host: s1\r\n"
CLOSE = HOST + b"Connection: close\r\n\r\n"
ANSWERED = {
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: a\r\n" + CLOSE, 400),
    "unknown path": (b"GET /wp-login.php HTTP/1.1\r\n" + CLOSE, 404),
    "control characters": (b"GET /%1b%5b31m%0aCRITICAL HTTP/1.1\r\n" + CLOSE, 404),
    "wrong method": (b"DELETE /xchg/quotes HTTP/1.1\r\n" + CLOSE, 405),
    "unknown parameter": (b"GET /xchg/quotes?%0a=1 HTTP/1.1\r\n" + CLOSE, 400),
    "invalid value": (b"GET /xchg/quotes/spot/%00%ff HTTP/1.1\r\n" + CLOSE, 400),
    "long value": (b"GET /xchg/quotes/spot/" + b"A" * 4_000 + b" HTTP/1.1\r\n" + CLOSE, 400),
    "refused": (b"POST /xchg/treasury/transfer HTTP/1.1\r\nContent-Length: 2\r\n" + CLOSE, 503),
    "no HTTP": (b"\x16\x03\x01\x02\x00 hello\r\n\r\n", 400),
    "a length that is none": (b"POST /health HTTP/1.1\r\nContent-Length: x\r\n" + CLOSE, 400),
    "an upgrade": (
        b"GET /health HTTP/1.1\r\nHost: s1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        200,
    ),
    "a large head": (b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n" + CLOSE, 431),
    "many headers": (b"GET /health HTTP/1.1\r\n" + b"X: x\r\n" * 200 + CLOSE, 431),
    "garbage headers": (b"GET /health HTTP/1.1\r\nAuthorization: \xff\xfe\r\n" + CLOSE, 200),
}
ABANDONED = {
    "head": b"GET /health HTTP/1.1\r\nHost:",
    "body": b"POST /xchg/treasury/transfer HTTP/1.1\r\nContent-Length: 9\r\n" + HOST + b"\r\n{",
    "reply": b"GET /schema HTTP/1.1\r\n" + HOST + b"\r\n",
    "event stream": b"GET /xchg/quotes/stream HTTP/1.1\r\n" + HOST + b"\r\n",
    "HEAD of the event stream": b"HEAD /xchg/quotes/stream HTTP/1.1\r\n" + HOST + b"\r\n",
}


async def connect(url: str) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))


async def status_of(url: str, request: bytes) -> int:
    """The status of the reply; the rest of it is read to its end."""
    async with await connect(url) as stream:
        await stream.send(request)
        reply = b"".join([part async for part in stream])
    return int(reply.split(b" ", 2)[1])


async def abandon(url: str, request: bytes) -> None:
    async with await connect(url) as stream:
        await stream.send(request)


async def test_hostile_requests_leave_no_line_in_the_log(tmp_path: Path) -> None:
    statuses: dict[str, set[int]] = {}
    with anyio.fail_after(4 * TIMEOUT_S):
        async with (
            simulator_process("--symbols", "BTCUSDT") as simulator,
            service_process(tmp_path, simulated(simulator.ready, "BTCUSDT")) as service,
        ):
            url = await service.url()
            await service.readiness(200)
            before = len(service.lines)
            for name, (request, _) in ANSWERED.items():
                statuses[name] = {await status_of(url, request) for _ in range(TIMES)}
            for request in ABANDONED.values():
                for _ in range(TIMES):
                    await abandon(url, request)
            async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
                assert (await client.get("/health")).status_code == 200
            await service.stop()
            logged = [
                line["message"]
                for line in service.lines[before:]
                if " is GREEN after " not in line["message"]  # the end of its start
            ]

    assert statuses == {name: {status} for name, (_, status) in ANSWERED.items()}
    assert len(logged) < TIMES / 5, "\n".join(logged)
    assert "Traceback" not in service.output
    assert "\x1b" not in service.output
