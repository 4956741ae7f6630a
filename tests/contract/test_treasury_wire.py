"""The transfer on the wire: one request on a new connection, and the class of each reply."""

import hashlib
import socket
from collections.abc import Iterator
from typing import NoReturn

import anyio
import pytest

from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyRefused,
    ReplyUnknown,
    RequestNotSent,
)
from chimera_s1.domain.treasury.limits import Direction
from tests.contract.gateway_to_raw_http import (
    ACCEPTED_REPLY,
    EMPTY_HISTORY_REPLY,
    HTML_BODY,
    KEY,
    ORDER,
    QUICK_TIMEOUTS,
    WINDOW,
    assert_one_request,
    connected_gateway,
    signature_of,
    submit_and_classify,
)
from tests.contract.raw_http_server import HOST, ScriptedReply, http_reply, raw_http_server
from tests.fakes.manual_clock import ManualClock


async def test_the_bytes_that_were_signed_are_the_bytes_that_are_sent() -> None:
    """In the body, the signature last; no query in the URL."""
    async with raw_http_server(ACCEPTED_REPLY) as server, connected_gateway(server.url) as gateway:
        signed = gateway.sign(ORDER)
        assert await gateway.submit(signed) == ReplyAccepted("13526853623")

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


async def test_what_comes_up_while_it_connects_stops_the_request() -> None:
    """It is asked about once the connection stands: no byte of the request is sent."""
    async with raw_http_server(ACCEPTED_REPLY) as server, connected_gateway(server.url) as gateway:
        signed = gateway.sign(ORDER)
        reply = await gateway.submit(signed, lambda: "the kill switch is on")
        assert reply == RequestNotSent("the kill switch is on")
        await server.wait_for_connection_end()
        with pytest.raises(RuntimeError, match="already sent"):
            await gateway.submit(signed)

    assert (server.connections_accepted, server.requests, server.fragments) == (1, [], [])


async def test_a_hold_that_comes_up_while_it_connects_stops_the_request() -> None:
    """Another instance was banned meanwhile: a request more would prolong the ban of all."""
    budgets = weight_budgets(ManualClock())

    def ban() -> str:
        budgets[Venue.SPOT].block(600_000, "another instance was answered 418")
        return ""

    async with (
        raw_http_server(ACCEPTED_REPLY) as server,
        connected_gateway(server.url, budgets) as gateway,
    ):
        reply = await gateway.submit(gateway.sign(ORDER), ban)
        await server.wait_for_connection_end()

    assert reply == RequestNotSent("rate limited for another 600 s")
    assert (server.connections_accepted, server.requests, server.fragments) == (1, [], [])
    assert budgets[Venue.SPOT].requests.used(0.0) == {}


async def test_each_transfer_has_a_connection_of_its_own() -> None:
    """Even where the exchange or a read keeps a connection open."""
    keeps = ScriptedReply(ACCEPTED_REPLY.reply, after_reply="next")
    scripts = (EMPTY_HISTORY_REPLY, EMPTY_HISTORY_REPLY, keeps, keeps, EMPTY_HISTORY_REPLY)
    async with raw_http_server(*scripts) as server, connected_gateway(server.url) as gateway:
        await gateway.read_movements(ORDER.direction, WINDOW)
        await gateway.submit(gateway.sign(ORDER))
        await gateway.submit(gateway.sign(ORDER))
        await gateway.read_movements(ORDER.direction, WINDOW)

    assert [(received.head[:4], received.connection) for received in server.requests] == [
        (b"GET ", 1),
        (b"GET ", 1),
        (b"POST", 2),
        (b"POST", 3),
        (b"GET ", 1),
        (b"GET ", 1),
    ]


async def test_the_query_that_was_signed_is_the_query_that_is_sent() -> None:
    """With the exchange's time, and the mandatory type."""
    async with (
        raw_http_server(EMPTY_HISTORY_REPLY) as server,
        connected_gateway(server.url) as gateway,
    ):
        await gateway.read_movements(Direction.FUT_TO_SPOT, WINDOW)

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
        pytest.param(ScriptedReply(), id="closed without a word"),
        pytest.param(ScriptedReply(after_reply="reset"), id="reset"),
        pytest.param(ScriptedReply(b"HTTP/1.1 200 O"), id="half a status line"),
        pytest.param(ScriptedReply(b"HTTP/1.1 200 OK\r\nContent-Le"), id="half a head"),
        pytest.param(ScriptedReply(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"), id="not HTTP"),
        pytest.param(
            ScriptedReply(http_reply(200, b'{"tranId":13', announced=22)), id="half a body"
        ),
        pytest.param(
            ScriptedReply(http_reply(200, b'{"tranId":7}', announced=13)),
            id="whole JSON, half a body",
        ),
        pytest.param(
            ScriptedReply(http_reply(400, b'{"code":-5013,"msg":"no"}', announced=26)),
            id="half a refusal",
        ),
        pytest.param(ScriptedReply(http_reply(200)), id="empty 200"),
        pytest.param(ScriptedReply(http_reply(200, b'{"tranId":135')), id="truncated JSON"),
        pytest.param(ScriptedReply(http_reply(200, b'{"ok":true}')), id="no tranId"),
        pytest.param(ScriptedReply(http_reply(200, b'{"tranId":1}' + b" " * 70_000)), id="a flood"),
        pytest.param(ScriptedReply(http_reply(502, HTML_BODY)), id="502 HTML"),
        pytest.param(ScriptedReply(http_reply(503, HTML_BODY)), id="503 HTML"),
        pytest.param(
            ScriptedReply(http_reply(504, b'{"code":-1007,"msg":"time-out"}')), id="-1007"
        ),
        pytest.param(ScriptedReply(http_reply(403, HTML_BODY)), id="firewall"),
        pytest.param(ScriptedReply(http_reply(307, b"", "Location: /elsewhere")), id="redirect"),
        pytest.param(
            ScriptedReply(http_reply(401, HTML_BODY, 'WWW-Authenticate: Basic realm="x"')),
            id="401 HTML",
        ),
    ],
)
async def test_an_indefinite_reply_is_unknown_and_nothing_is_sent_again(
    script: ScriptedReply,
) -> None:
    """The request has left, so the money may have moved."""
    said = await submit_and_classify(script)

    assert isinstance(said, ReplyUnknown)
    assert said.cause


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\n", http_reply(200, b'{"tranId":7}', announced=13)]
)
async def test_a_reply_that_does_not_end_is_unknown_after_the_deadline(begun: bytes) -> None:
    """A part of the reply has arrived by then."""
    said = await submit_and_classify(ScriptedReply(begun, after_reply="stay"), QUICK_TIMEOUTS)

    assert isinstance(said, ReplyUnknown)
    assert "no complete reply within 0.3 s" in said.cause


async def test_a_refusal_carries_the_exchanges_message() -> None:
    """And its code."""
    said = await submit_and_classify(
        ScriptedReply(http_reply(400, b'{"code":-5013,"msg":"insufficient balance"}'))
    )

    assert isinstance(said, ReplyRefused)
    assert said.message == "400 -5013 insufficient balance"


async def test_cancellation_leaves_without_a_reply() -> None:
    """No second request is sent."""
    async with (
        raw_http_server(ScriptedReply(after_reply="stay")) as server,
        connected_gateway(server.url) as gateway,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.submit, gateway.sign(ORDER))
            await server.wait_for_requests()
            tasks.cancel_scope.cancel()
        assert_one_request(server)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bound, so that no other process can listen on it."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield held.getsockname()[1]


async def test_a_refused_connection_counts_as_not_sent(closed_port: int) -> None:
    """It may be retried; the cause has the system's error text."""
    async with connected_gateway(f"http://{HOST}:{closed_port}") as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, RequestNotSent)
    assert "Connection refused" in said.cause


async def test_the_systems_words_are_in_a_cause_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx2 has them already where a name does not resolve."""
    words = "Temporary failure in name resolution"

    def fail(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, words)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with connected_gateway("http://exchange.invalid") as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, RequestNotSent)
    assert said.cause.count(words) == 1


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid", "ftp://example.invalid", "http://[::1", "http://:99999"]
)
async def test_an_unreachable_address_counts_as_not_sent(url: str) -> None:
    """A name that does not resolve, or an invalid URL."""
    async with connected_gateway(url) as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, RequestNotSent)


async def test_a_failed_tls_handshake_counts_as_not_sent() -> None:
    """The peer has received a TLS greeting, and neither key nor transfer."""
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        received = bytearray()

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                received.extend(await stream.receive())
                await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with connected_gateway(f"https://{HOST}:{port}") as gateway:
                said = await gateway.submit(gateway.sign(ORDER))
            tasks.cancel_scope.cancel()

    assert isinstance(said, RequestNotSent)
    assert received
    assert not any(
        part in bytes(received) for part in (KEY.encode(), b"POST", b"tranId", b"amount")
    )


async def test_a_proxy_of_the_environment_is_ignored(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """For a transfer and for a read, signed with our key."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{closed_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with (
        raw_http_server(ACCEPTED_REPLY, EMPTY_HISTORY_REPLY) as server,
        connected_gateway(server.url) as gateway,
    ):
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), ReplyAccepted)
        assert await gateway.read_movements(ORDER.direction, WINDOW) == ()
