"""Connections that are open before their one request, on real sockets."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient, HttpTimeouts, NotSent
from chimera_s1.adapters.binance.http.request_limits import sapi_uid_weight
from chimera_s1.adapters.binance.http.signed_request import (
    BinanceSignedRequest,
    Method,
    RequestTarget,
)
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.http.single_use_connections import SingleUseConnections
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.treasury_gateway import no_obstacle
from tests.contract.certificates import Authority
from tests.contract.forward_proxy import tls_front
from tests.contract.raw_http_server import HOST, ScriptedReply, http_reply, raw_http_server
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

GOODBYE = http_reply(408, b"", "Connection: close")
OK = ScriptedReply(http_reply(200, b"{}"))
CALL = RequestCall("test", Priority.MONEY, sapi_uid_weight(1))
SIGNER = Signer(Credentials(Secret("key"), Secret("secret")), lambda: 1.0)


def request(method: Method = Method.POST) -> BinanceSignedRequest:
    return BinanceSignedRequest(RequestTarget(method, "/api/v3/order", CALL), [("a", "1")], SIGNER)


@asynccontextmanager
async def kept_ready(
    url: str, count: int = 1, budgets: dict[Venue, WeightBudget] | None = None
) -> AsyncIterator[HttpClient]:
    """A client with *count* open connections to the spot host."""
    endpoints = {venue: Endpoints(url, "") for venue in Venue}
    budgets = budgets or weight_budgets(ManualClock())
    with anyio.fail_after(TIMEOUT_S):
        async with HttpClient(endpoints, budgets) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.keep_ready, Venue.SPOT, count)
            yield client
            tasks.cancel_scope.cancel()


async def send(client: HttpClient, method: Method = Method.POST) -> object:
    return await client.send_once(
        Venue.SPOT, request(method), timeouts=HttpTimeouts(), obstacle=no_obstacle
    )


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The service runs on uvloop, whose transports are of other types."""
    return "asyncio", {"use_uvloop": request.param}


async def until_ready(pool: SingleUseConnections, count: int = 1) -> None:
    while pool.ready < count:
        await pool.changed.wait()


async def test_a_request_uses_a_connection_that_was_open_before() -> None:
    """Another one is opened in its place; none carries two requests."""
    keeps = ScriptedReply(OK.reply, after_reply="next")
    async with raw_http_server(keeps) as server, kept_ready(server.url) as client:
        pool = client.single_use(Venue.SPOT)
        for number in (1, 2, 3):
            await until_ready(pool)
            assert isinstance(await send(client), HttpReply)
            assert [each.connection for each in server.requests] == list(range(1, number + 1))

    assert (pool.dialed, pool.taken_ready) == (0, 3)


async def test_a_burst_beyond_what_is_ready_dials_for_itself() -> None:
    async with raw_http_server(OK) as server, kept_ready(server.url, 2) as client:
        pool = client.single_use(Venue.SPOT)
        await until_ready(pool, 2)
        replies: list[object] = []

        async def one() -> None:
            replies.append(await send(client))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one)

    assert len(replies) == 5
    assert all(isinstance(reply, HttpReply) for reply in replies)
    assert sorted(each.connection for each in server.requests) == sorted(
        {each.connection for each in server.requests}
    )
    assert pool.taken_ready >= 2


async def close_at_once(stream: SocketStream) -> None:
    await stream.aclose()


async def say_goodbye(stream: SocketStream) -> None:
    """As a load balancer does with an idle connection."""
    await stream.send(GOODBYE)
    await stream.aclose()


@pytest.mark.parametrize("ending", [close_at_once, say_goodbye])
async def test_a_connection_that_ended_while_idle_is_replaced(
    ending: Callable[[SocketStream], Awaitable[None]],
) -> None:
    """The request arrives on the next one: its outcome is known."""
    accepted = 0
    end_first, replaced, answered = anyio.Event(), anyio.Event(), anyio.Event()

    async def serve(stream: SocketStream) -> None:
        nonlocal accepted
        accepted += 1
        if accepted == 1:
            await end_first.wait()
            await ending(stream)
            return
        replaced.set()
        async with stream:
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return
            await stream.send(OK.reply)
            answered.set()

    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
        async with anyio.create_task_group() as tasks, kept_ready(url) as client:
            tasks.start_soon(listener.serve, serve)
            pool = client.single_use(Venue.SPOT)
            await until_ready(pool)
            end_first.set()
            await replaced.wait()
            await until_ready(pool)
            assert isinstance(await send(client), HttpReply)
            assert answered.is_set()
            tasks.cancel_scope.cancel()

    assert (pool.dialed, pool.taken_ready) == (0, 1)


async def test_a_host_that_ends_every_idle_connection_is_not_dialled_in_a_loop() -> None:
    accepted = 0

    async def serve(stream: SocketStream) -> None:
        nonlocal accepted
        accepted += 1
        await stream.aclose()

    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
        async with anyio.create_task_group() as tasks, kept_ready(url) as client:
            tasks.start_soon(listener.serve, serve)
            pool = client.single_use(Venue.SPOT)
            while not pool.problem:
                await pool.changed.wait()
            assert accepted == 1
            tasks.cancel_scope.cancel()

    assert pool.problem == "the host ends idle connections"


async def test_tls_connections_stay_ready_although_tickets_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS 1.3 sends session tickets after its handshake: they are no goodbye."""
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("server")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(pair.certificate, pair.key)
    async with (
        raw_http_server(OK) as server,
        tls_front(server.url, context) as port,
        kept_ready(f"https://{HOST}:{port}") as client,
    ):
        pool = client.single_use(Venue.SPOT)
        await until_ready(pool)
        await settle()
        assert pool.ready == 1
        assert isinstance(await send(client), HttpReply)

    assert (pool.dialed, pool.taken_ready) == (0, 1)


async def test_a_host_that_is_held_is_not_dialled() -> None:
    """A ban counts connections too; the request is not admitted either."""
    budgets = weight_budgets(ManualClock())
    budgets[Venue.SPOT].block(60_000, "a request was answered 418")
    async with raw_http_server(OK) as server, kept_ready(server.url, 1, budgets):
        await settle()
        assert server.connections_accepted == 0


async def test_an_obstacle_costs_a_ready_connection_and_sends_nothing() -> None:
    async with raw_http_server(OK) as server, kept_ready(server.url) as client:
        await until_ready(client.single_use(Venue.SPOT))
        reply = await client.send_once(
            Venue.SPOT, request(), timeouts=HttpTimeouts(), obstacle=lambda: "signed 1.2 s ago"
        )
        await server.wait_for_connection_end()

    assert reply == NotSent("signed 1.2 s ago")
    assert (server.requests, server.fragments) == ([], [])


async def test_a_delete_has_its_parameters_in_the_query_and_no_body() -> None:
    async with raw_http_server(OK) as server, kept_ready(server.url) as client:
        assert isinstance(await send(client, Method.DELETE), HttpReply)

    (received,) = server.requests
    target, _, signature = received.target.partition(b"&signature=")
    assert received.head.startswith(b"DELETE ")
    assert target == b"/api/v3/order?a=1"
    assert signature == SIGNER.signature("a=1").encode()
    assert received.body == b""
    assert b"Content-Length" not in received.head


async def test_a_host_that_refuses_is_named_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The problem is told by the pool; a request says so itself, and is not sent."""
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
    async with kept_ready(url) as client:
        pool = client.single_use(Venue.SPOT)
        while not pool.problem:
            await pool.changed.wait()
        reply = await send(client)

    assert isinstance(reply, NotSent)
    assert "Connection refused" in reply.cause
    assert "refused" in pool.problem.lower()
    [said] = [each for each in caplog.messages if "no connection is ready for orders" in each]
    assert pool.problem in said
