"""Rules of HTTP on real sockets: Host, HEAD, encoded bodies, query parameters, hanging up; and no
control character in an answer, an event or the log.
"""

import json
import logging
from collections.abc import AsyncIterator
from functools import cache

import anyio
import httpx2
import pytest
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.types import Message, Receive, Scope, Send

from chimera_s1.app.web.parameters import query_parameters
from chimera_s1.domain.access.scopes import Scope as AccessScope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.treasury_api_client import TRANSFER
from tests.contract.web_parts import WatchedBoard, WebParts, description, serving
from tests.fakes.manual_clock import ManualClock
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_quotes import quote
from tests.time_limits import TIMEOUT_S
from tests.treasury_harness import untyped

ALL_TOKEN, ALL = make_token("all1", b"a" * 32, actor="all", scopes=AccessScope, created_at=0)
MAY = {"Authorization": f"Bearer {ALL_TOKEN}"}
VALUES = {
    "venue": "spot",
    "symbol": "BTCUSDT",
    "transfer_id": "one",
    "entry_id": "one",
    "path": "openapi.json",
    "job_name": "clock.spot",
    "letter_id": "redis.1772514460893-0",
}
LETTER_REPLAY = "/xchg/dead-letters/redis.1772514460893-0/replay"
WITHOUT_BODY = {
    "/xchg/instruments/sync",
    "/xchg/jobs/clock.spot/run",
    LETTER_REPLAY,
    "/xchg/reconcile",
}
BODY = {"from": "SPOT", "to": "FUT", "amount_usdt": 10, "transfer_id": "one"}


def web_parts() -> WebParts:
    parts = WebParts(WatchedBoard(), tokens=MemoryTokenStore([ALL]))
    parts.board.post([quote()])
    return parts


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with web_parts().client() as opened:
        opened.headers.update(MAY)
        yield opened


@cache
def paths(method: str) -> list[str]:
    """Every path with a route for *method*, those that are not described too."""
    return sorted(
        {
            route.path_format.format_map(VALUES)
            for route in WebParts().app.routes
            for handler in getattr(route, "route_handlers", ())
            if isinstance(handler, HTTPRouteHandler) and method in handler.http_methods
        }
    )


async def raw_reply(url: str, request: bytes) -> bytes:
    """The bytes of the reply to *request*, after which the server closes."""
    reply = b""
    async with await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        await stream.send(request)
        async for part in stream:
            reply += part
    return reply


@pytest.mark.parametrize(
    ("head", "status", "message"),
    [
        (b"GET /health HTTP/1.1\r\n", 400, "the Host header is missing"),
        (b"GET /nothing HTTP/1.1\r\n", 400, "the Host header is missing"),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "appears 2 times"),
        (b"GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400, "appears 2 times"),
        (b"GET /health HTTP/1.1\r\nHost: a/b?c\r\n", 400, "is not a host and a port"),
        (b"GET /health HTTP/1.1\r\nHost: a, b\r\n", 400, "is not a host and a port"),
        (b"GET /health HTTP/1.1\r\nHost: user@a\r\n", 400, "is not a host and a port"),
        (b"GET /health HTTP/1.0\r\n", 200, "uptime_s"),
        (b"GET /health HTTP/1.1\r\nHost:\r\n", 200, "uptime_s"),
        (b"GET /health HTTP/1.1\r\nHost: s1.internal:8080\r\n", 200, "uptime_s"),
        (b"GET /health HTTP/1.1\r\nHost: [::1]:8080\r\n", 200, "uptime_s"),
    ],
)
async def test_one_valid_host_header_is_needed(head: bytes, status: int, message: str) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with serving(web_parts()) as server:
            reply = await raw_reply(server.url, head + b"Connection: close\r\n\r\n")

    lines, _, content = reply.partition(b"\r\n\r\n")
    assert int(lines.split()[1]) == status
    assert message in content.decode()
    if status == 400:
        assert json.loads(content)["code"] == "request.invalid"


async def test_an_invalid_host_closes_the_connection() -> None:
    """What follows on it may be meant for another host."""
    request = b"GET /health HTTP/1.1\r\n\r\n"
    with anyio.fail_after(TIMEOUT_S):
        async with serving(web_parts()) as server:
            reply = await raw_reply(server.url, request)

    assert b"\r\nconnection: close\r\n" in reply.lower()


async def test_head_answers_with_the_headers_of_get() -> None:
    """On every path with a GET; the event stream is not held open."""
    parts = web_parts()
    ignored = {"date"}
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts) as server,
            httpx2.AsyncClient(base_url=server.url, headers=MAY, timeout=TIMEOUT_S) as client,
        ):
            for path in paths("GET"):
                head = await client.head(path)
                async with client.stream("GET", path) as get:
                    expected = {**get.headers}
                assert head.content == b""
                assert (path, head.status_code) == (path, get.status_code)
                expected.pop("transfer-encoding", None)
                for name in ignored:
                    assert head.headers.pop(name)
                    del expected[name]
                assert (path, {**head.headers}) == (path, expected)


async def test_head_of_the_event_stream_leaves_it() -> None:
    parts = web_parts()
    board = parts.board
    assert isinstance(board, WatchedBoard)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts) as server,
            httpx2.AsyncClient(base_url=server.url, headers=MAY, timeout=TIMEOUT_S) as client,
        ):
            head = await client.head("/xchg/quotes/stream")
            await board.left.wait()

    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert board.subscribers == 0


METHODS = ("DELETE", "GET", "POST")


async def test_every_method_of_a_path_is_allowed_and_others_are_refused() -> None:
    """OPTIONS and 405 name the same: HEAD, too, where there is GET."""
    parts = web_parts()
    async with parts.client() as client:
        client.headers.update(MAY)
        await check_methods(client, parts.clock)


async def check_methods(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    for path in {path for method in METHODS for path in paths(method)}:
        has = [method for method in METHODS if path in paths(method)]
        expected = ", ".join(sorted([*has, "OPTIONS", *(["HEAD"] if "GET" in has else [])]))
        await clock.advance(1_000)  # so many requests are within the limit of a token
        replies = {
            method: await client.request(method, path)
            for method in {"OPTIONS", "PUT", "HEAD", *METHODS} - set(has)
            if method != "HEAD" or "GET" not in has
        }
        allowed = {method: reply.headers["allow"] for method, reply in replies.items()}
        assert (path, allowed) == (path, dict.fromkeys(replies, expected))
        del replies["OPTIONS"]
        assert {reply.status_code for reply in replies.values()} == {405}, path


@pytest.mark.parametrize("coding", ["gzip", "identity, br", "GZIP", "what"])
@pytest.mark.parametrize("path", [path for path in paths("POST") if path not in WITHOUT_BODY])
async def test_encoded_body_is_refused(client: httpx2.AsyncClient, path: str, coding: str) -> None:
    reply = await client.post(path, json=BODY, headers={"Content-Encoding": coding})

    assert (reply.status_code, reply.json()["code"]) == (415, "request.content_encoding")
    assert reply.headers["accept-encoding"] == "identity"
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", sorted(WITHOUT_BODY))
async def test_a_body_that_is_not_read_is_refused(client: httpx2.AsyncClient, path: str) -> None:
    """Also one of unknown length."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"{}"

    replies = [await client.post(path, json={}), await client.post(path, content=parts())]

    assert [(each.status_code, each.json()["code"]) for each in replies] == [
        (400, "request.invalid")
    ] * 2
    assert replies[0].json()["detail"].startswith("this route takes no body")
    # There is no dead letter here, and no exchange key.
    special = {"/xchg/reconcile": {503}, LETTER_REPLAY: {404}}
    assert (await client.post(path)).status_code in special.get(path, {200, 202})


async def test_identity_is_not_an_encoding(client: httpx2.AsyncClient) -> None:
    reply = await client.post(TRANSFER, json={}, headers={"Content-Encoding": "identity"})

    assert reply.json()["code"] != "request.content_encoding"


@pytest.mark.parametrize("path", paths("GET"))
async def test_unknown_query_parameter_is_named(client: httpx2.AsyncClient, path: str) -> None:
    """Every route, by one rule; what nobody reads must not look as if it were obeyed."""
    reply = await client.get(f"{path}?colour=red")

    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")
    assert reply.json()["detail"].startswith("colour: no such query parameter; ")


@pytest.mark.parametrize("path", paths("POST"))
async def test_unknown_query_parameter_of_a_post_is_named(
    client: httpx2.AsyncClient, path: str
) -> None:
    reply = await client.post(f"{path}?transfer_id=one", json=BODY)

    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")
    has = "venue, accept" if path == "/xchg/instruments/sync" else "none"
    assert reply.json()["detail"] == f"transfer_id: no such query parameter; this route has {has}"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/xchg/treasury/transfers?status=DONE", "did you mean state?"),
        ("/xchg/quotes?symbols=BTCUSDT", "did you mean symbol?"),
        ("/xchg/quotes?x=1", "x: no such query parameter; this route has venue, symbol"),
        ("/xchg/quotes?=1", "an empty name: no such query parameter; this route has"),
        ("/xchg/quotes?venue=spot&venue=perp", "venue appears 2 times; send it once"),
        ("/xchg/treasury/transfers?limit=1&limit=2", "limit appears 2 times; send it once"),
        ("/xchg/treasury/transfers?state=GONE", "state: send one of PENDING, DONE, FAILED"),
        ("/xchg/treasury/transfers?state=", "state: send one of PENDING, DONE, FAILED"),
        ("/xchg/treasury/transfers?limit=many", "limit: send a whole number from 1 to 500"),
        ("/xchg/treasury/transfers?limit=501", "limit: send a whole number from 1 to 500"),
        ("/xchg/treasury/transfers?cursor=x", "cursor: send next_cursor of the previous page"),
        ("/xchg/treasury/transfer/a b", "transfer_id: a transfer id has 1 to 128"),
        ("/xchg/quotes/margin/BTCUSDT", "venue: send one of spot, perp"),
        ("/xchg/quotes/spot/B T", "symbol: 'B T' is not a symbol"),
        ("/xchg/quotes?symbol=B:T", "symbol: 'B:T' is not a symbol"),
        ("/xchg/quotes/stream?symbol=", "symbol: '' is not a symbol"),
    ],
)
async def test_error_names_the_parameter_as_it_was_written(
    client: httpx2.AsyncClient, path: str, detail: str
) -> None:
    reply = await client.get(path)

    assert reply.status_code == 400
    assert detail in reply.json()["detail"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"from": "spot"}, "from must be one of SPOT, FUT"),
        ({"to": "SPOT"}, "from and to"),
        ({"amount_usdt": -1}, "amount_usdt"),
        ({"amount": 1}, "amount is unknown; remove it, did you mean amount_usdt?"),
        ({"transfer_id": "a b"}, "transfer_id: a transfer id has"),
        ({"reason": "\x1b[31m"}, "reason has a character that cannot be printed"),
    ],
)
async def test_error_names_the_field_as_it_was_written(
    client: httpx2.AsyncClient, change: dict[str, object], detail: str
) -> None:
    reply = await client.post(TRANSFER, json={**BODY, **change})

    assert reply.status_code == 400
    assert detail in reply.json()["detail"]


async def test_error_names_the_idempotency_key_header(client: httpx2.AsyncClient) -> None:
    reply = await client.post(TRANSFER, json=BODY, headers={"idempotency-key": "a b"})

    assert reply.json()["detail"].startswith("Idempotency-Key: ")


CONTROLS = "%1b%5b31m%0aHTTP/1.1%20200%0d%00%c2%9b31m%e2%80%ae"


async def test_control_characters_do_not_come_back(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a problem, nor in `ops:events`, nor in the log."""
    caplog.set_level(logging.DEBUG)
    parts = web_parts()
    async with parts.client() as client:
        replies = [
            await client.request(method, path, headers=headers, content=content)
            for headers in ({}, MAY)
            for method, path, content in (
                ("GET", f"/{CONTROLS}", b""),
                ("GET", f"/schema/{CONTROLS}", b""),
                ("GET", f"/xchg/quotes/{CONTROLS}/BTCUSDT", b""),
                ("GET", f"/xchg/quotes/spot/{CONTROLS}", b""),
                ("GET", f"/xchg/quotes?{CONTROLS}=1", b""),
                ("GET", f"/xchg/quotes?symbol={CONTROLS}", b""),
                ("GET", f"/xchg/quotes?venue={CONTROLS}", b""),
                ("GET", f"/xchg/treasury/transfer/{CONTROLS}", b""),
                ("GET", f"/xchg/treasury/transfers?cursor={CONTROLS}", b""),
                ("POST", f"/xchg/treasury/transfer/{CONTROLS}/resolve", b"{}"),
                ("POST", TRANSFER, b'{"\\u001b[31m": 1}'),
                ("POST", TRANSFER, b"\x1b[31m"),
            )
        ]

    assert {reply.status_code for reply in replies} == {400, 401, 404, 415}
    texts = [text for reply in replies for text in reply.json().values() if isinstance(text, str)]
    texts += [str(detail["path"]) for _, detail in parts.events]
    texts += [record.getMessage() for record in caplog.records]
    assert parts.events
    assert not [text for text in texts if not text.isprintable()]


class Watched:
    """An application that signals the end of its first request, and the status it has sent."""

    def __init__(self, parts: WebParts) -> None:
        self._app = parts.app
        self.ended = anyio.Event()
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self.ended.set()


@pytest.mark.parametrize("path", paths("POST"))
async def test_client_that_hangs_up_is_not_an_error(
    caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """It leaves in the middle of its body: no traceback, no log line."""
    caplog.set_level(logging.INFO)
    parts = web_parts()
    parts.app = untyped(watched := Watched(parts))
    head = f"POST {path} HTTP/1.1\r\nHost: s1\r\nAuthorization: {MAY['Authorization']}\r\n"
    with anyio.fail_after(TIMEOUT_S):
        async with serving(parts) as server:
            port = int(server.url.rpartition(":")[2])
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(f"{head}Content-Length: 100\r\n\r\n{{".encode())
            await watched.ended.wait()

    assert watched.statuses == [400]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_query_parameters_are_those_of_the_description() -> None:
    """The rule about unknown ones reads the declarations that the document is made from."""
    declared = {
        (handler.operation_id, name)
        for route in WebParts().app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.operation_id
        for name in query_parameters(handler)
    }
    described = {
        (operation["operationId"], row["name"])
        for item in description()["paths"].values()
        for operation in item.values()
        for row in operation.get("parameters", ())
        if row["in"] == "query"
    }
    assert declared == described
