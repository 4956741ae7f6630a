"""The transfer on the wire: one request, once, on a fresh connection, and what is made of any
answer.
"""

import hashlib
import socket
from collections.abc import Iterator

import anyio
import pytest

from chimera_s1.domain.ports.treasury_gateway import Accepted, NotSent, Refused, Unknown
from chimera_s1.domain.treasury.limits import Direction
from tests.contract.gateway_to_raw_http import (
    DONE,
    EMPTY,
    HTML,
    KEY,
    ORDER,
    QUICK,
    WINDOW,
    answer_to,
    assert_asked_once,
    gateway_to,
    signature_of,
)
from tests.contract.raw_http_server import HOST, Script, raw_http, reply


async def test_the_bytes_that_were_signed_are_the_bytes_that_are_sent() -> None:
    """In the body, the signature last; nothing in the address."""
    async with raw_http(DONE) as server, gateway_to(server.url) as gateway:
        signed = gateway.sign(ORDER)
        assert await gateway.submit(signed) == Accepted("13526853623")

    (request,) = server.requests
    payload, _, signature = request.body.partition(b"&signature=")
    assert request.head.startswith(b"POST ")
    assert request.target == b"/sapi/v1/asset/transfer"
    assert payload == (
        b"type=MAIN_UMFUTURE&asset=USDT&amount=25.00000117&recvWindow=5000&timestamp=1772655374000"
    )
    assert signature == signature_of(payload)
    assert signed.request_hash == hashlib.sha256(payload).hexdigest()
    assert request.header("X-MBX-APIKEY") == KEY.encode()
    assert request.header("Content-Type") == b"application/x-www-form-urlencoded"
    assert request.header("Connection").lower() == b"close"


async def test_each_transfer_has_a_connection_of_its_own() -> None:
    """Also where the exchange would keep one open, and where a read has left one open."""
    keeps = Script(DONE.reply, then="next")
    scripts = (EMPTY, EMPTY, keeps, keeps, EMPTY)
    async with raw_http(*scripts) as server, gateway_to(server.url) as gateway:
        await gateway.movements(ORDER.direction, WINDOW)
        await gateway.submit(gateway.sign(ORDER))
        await gateway.submit(gateway.sign(ORDER))
        await gateway.movements(ORDER.direction, WINDOW)

    assert [(heard.head[:4], heard.connection) for heard in server.requests] == [
        (b"GET ", 1),
        (b"GET ", 1),
        (b"POST", 2),
        (b"POST", 3),
        (b"GET ", 1),
        (b"GET ", 1),
    ]


async def test_a_query_is_sent_as_it_was_signed() -> None:
    """With the exchange's time, and the mandatory type."""
    async with raw_http(EMPTY) as server, gateway_to(server.url) as gateway:
        await gateway.movements(Direction.FUTURES_TO_SPOT, WINDOW)

    for request in server.requests:
        path, _, query = request.target.partition(b"?")
        payload, _, signature = query.partition(b"&signature=")
        assert path == b"/sapi/v1/asset/transfer"
        assert payload == (
            b"type=UMFUTURE_MAIN&startTime=1772655374000&endTime=1772655375000&current=1&size=100"
            b"&recvWindow=5000&timestamp=1772655374000"
        )
        assert signature == signature_of(payload)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script(), id="closed without a word"),
        pytest.param(Script(then="reset"), id="reset"),
        pytest.param(Script(b"HTTP/1.1 200 O"), id="half a status line"),
        pytest.param(Script(b"HTTP/1.1 200 OK\r\nContent-Le"), id="half a head"),
        pytest.param(Script(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"), id="not HTTP"),
        pytest.param(Script(reply(200, b'{"tranId":13', announced=22)), id="half a body"),
        pytest.param(
            Script(reply(200, b'{"tranId":7}', announced=13)), id="whole JSON, half a body"
        ),
        pytest.param(
            Script(reply(400, b'{"code":-5013,"msg":"no"}', announced=26)), id="half a refusal"
        ),
        pytest.param(Script(reply(200)), id="empty 200"),
        pytest.param(Script(reply(200, b'{"tranId":135')), id="truncated JSON"),
        pytest.param(Script(reply(200, b'{"ok":true}')), id="no tranId"),
        pytest.param(Script(reply(200, b'{"tranId":1}' + b" " * 70_000)), id="a flood"),
        pytest.param(Script(reply(502, HTML)), id="502 HTML"),
        pytest.param(Script(reply(503, HTML)), id="503 HTML"),
        pytest.param(Script(reply(504, b'{"code":-1007,"msg":"time-out"}')), id="-1007"),
        pytest.param(Script(reply(403, HTML)), id="firewall"),
        pytest.param(Script(reply(307, b"", "Location: /elsewhere")), id="redirect"),
        pytest.param(Script(reply(401, HTML, 'WWW-Authenticate: Basic realm="x"')), id="401 HTML"),
    ],
)
async def test_what_is_not_definite_is_unknown_and_nothing_is_sent_again(script: Script) -> None:
    """The request has left, so the money may have moved."""
    said = await answer_to(script)

    assert isinstance(said, Unknown)
    assert said.cause


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\n", reply(200, b'{"tranId":7}', announced=13)]
)
async def test_a_reply_that_does_not_end_is_given_up(begun: bytes) -> None:
    """After the deadline, whatever has come by then."""
    said = await answer_to(Script(begun, then="stay"), QUICK)

    assert isinstance(said, Unknown)
    assert "no complete reply within 0.3 s" in said.cause


async def test_a_refusal_is_told_in_the_exchanges_words() -> None:
    """With its code, for people."""
    said = await answer_to(Script(reply(400, b'{"code":-5013,"msg":"insufficient balance"}')))

    assert isinstance(said, Refused)
    assert said.message == "400 -5013 insufficient balance"


async def test_cancellation_leaves_without_a_reply() -> None:
    """And without a second request."""
    async with raw_http(Script(then="stay")) as server, gateway_to(server.url) as gateway:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.submit, gateway.sign(ORDER))
            await server.until_asked()
            tasks.cancel_scope.cancel()
        assert_asked_once(server)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield held.getsockname()[1]


async def test_a_refused_connection_has_sent_nothing(closed_port: int) -> None:
    """So it may be tried again; the system's own word for it is told."""
    async with gateway_to(f"http://{HOST}:{closed_port}") as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, NotSent)
    assert "Connection refused" in said.cause


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid", "ftp://example.invalid", "http://[::1", "http://:99999"]
)
async def test_an_address_that_leads_nowhere_has_sent_nothing(url: str) -> None:
    """A name that does not resolve, or no address at all."""
    async with gateway_to(url) as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, NotSent)


async def test_without_a_handshake_nothing_was_sent() -> None:
    """The peer speaks no TLS: it has heard a greeting, and neither key nor transfer."""
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        heard = bytearray()

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                heard.extend(await stream.receive())
                await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with gateway_to(f"https://{HOST}:{port}") as gateway:
                said = await gateway.submit(gateway.sign(ORDER))
            tasks.cancel_scope.cancel()

    assert isinstance(said, NotSent)
    assert heard
    assert not any(part in bytes(heard) for part in (KEY.encode(), b"POST", b"tranId", b"amount"))


async def test_a_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """Neither for a transfer nor for a signed read: what goes out is signed with our key."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{closed_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with raw_http(DONE, EMPTY) as server, gateway_to(server.url) as gateway:
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), Accepted)
        assert await gateway.movements(ORDER.direction, WINDOW) == ()
