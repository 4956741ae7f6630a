"""Access to the HTTP API: every route declares its scope; refusals have one shape, are counted and
recorded, and reveal nothing about existing tokens.
"""

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx2
import pytest
from litestar import Litestar, get
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from chimera_s1.app.web.access.guard import BODY_BYTES_MAX, needed_scope
from chimera_s1.domain.operations.rate_limit import RateLimit
from tests.contract.web_parts import READER, READER_TOKEN, WebParts, serving
from tests.contract.web_with_tokens import (
    EXPIRED,
    EXPIRED_TOKEN,
    FORGED_TOKEN,
    GOOD,
    GOOD_TOKEN,
    REVOKED,
    REVOKED_TOKEN,
    SECOND,
    SECOND_TOKEN,
    TOKENS,
    TRANSFERS,
    UNKNOWN_TOKEN,
    TransfersController,
    assert_problem,
    bearer,
    web_parts_with_tokens,
)
from tests.time_limits import TIMEOUT_S

PUBLIC = {
    "/",
    "/health",
    "/ready",
    "/metrics",
    "/schema",
    "/schema/openapi.json",
    "/schema/{path:str}",
}
SLOW = RateLimit(per_s=1, burst=2)


@pytest.fixture(autouse=True)
def _no_token_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert not [token for token in TOKENS if token in caplog.text]


def handlers(app: Litestar) -> list[tuple[str, HTTPRouteHandler]]:
    return [
        (route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
    ]


def test_every_route_declares_its_scope_or_is_one_of_the_public_ones() -> None:
    """No route is public by accident; a new public route must be added here."""
    app = WebParts().app
    needs = {(path, handler.handler_name): needed_scope(handler) for path, handler in handlers(app)}

    assert all(isinstance(route, HTTPRoute) for route in app.routes)
    public = {
        path for (path, name), scope in needs.items() if scope is None and name != "options_handler"
    }
    assert public == PUBLIC


def test_no_own_route_handles_options() -> None:
    taking = [each for _, each in handlers(WebParts().app) if "OPTIONS" in each.http_methods]

    assert {handler.handler_name for handler in taking} == {"options_handler"}
    assert all(handler.http_methods == {"OPTIONS"} for handler in taking)


async def test_route_without_a_declaration_refuses_every_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Deny by default; the log names the route."""

    @get("/test/forgotten", sync_to_thread=False, include_in_schema=False)
    def forgotten() -> str:
        raise AssertionError("it was reached")

    parts = web_parts_with_tokens()
    parts.app.register(forgotten)
    async with parts.client() as client:
        assert_problem(
            await client.get("/test/forgotten", headers=bearer(GOOD_TOKEN)), 500, "internal"
        )

    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "forgotten must declare" in str(record.exc_info[1])


async def test_without_tokens_reads_are_open_and_money_routes_disabled() -> None:
    parts = WebParts()
    parts.app.register(TransfersController)
    async with parts.client() as client:
        quotes = await client.get("/xchg/quotes")
        money = await client.post(TRANSFERS, headers=bearer(GOOD_TOKEN), json={"note": "x"})

    assert quotes.status_code == 200
    body = assert_problem(money, 503, "access.disabled")
    assert "chimera-s1 tokens create --scope treasury:transfer" in body["detail"]
    assert "S1_API_TOKENS_FILE" in body["detail"]
    assert parts.access.refusals == {"disabled": 1}


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/schema"])
async def test_public_path_needs_no_token(path: str) -> None:
    async with web_parts_with_tokens().client() as client:
        assert (await client.get(path)).status_code == 200


async def test_route_gets_the_actor() -> None:
    async with web_parts_with_tokens().client() as client:
        replies = [
            await client.post(TRANSFERS, headers=bearer(token), json={"note": "x"})
            for token in (GOOD_TOKEN, SECOND_TOKEN)
        ]

    assert [reply.json() for reply in replies] == [
        {"name": "treasury-bot", "kid": "good"},
        {"name": "treasury-bot", "kid": "second"},
    ]


REFUSED = {
    "missing": ({}, None),
    "malformed": ({"Authorization": GOOD_TOKEN}, None),
    "malformed: another scheme": ({"Authorization": f"Basic {GOOD_TOKEN}"}, None),
    "malformed: nothing after it": ({"Authorization": "Bearer"}, None),
    "malformed: cut": (bearer(GOOD_TOKEN[:-1]), None),
    "unknown": (bearer(UNKNOWN_TOKEN), None),
    "mismatch": (bearer(FORGED_TOKEN), "good"),
    "expired": (bearer(EXPIRED_TOKEN), "expired"),
    "revoked": (bearer(REVOKED_TOKEN), "revoked"),
}


@pytest.mark.parametrize(("headers", "kid"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("request_line", ["GET /xchg/quotes", f"POST {TRANSFERS}"])
async def test_invalid_tokens_get_one_answer_and_a_recorded_reason(
    request: pytest.FixtureRequest, request_line: str, headers: dict[str, str], kid: str | None
) -> None:
    """The reply is no oracle; the counter and the event have the reason, and the kid where we know
    it.
    """
    method, path = request_line.split(" ")
    reason = request.node.callspec.id.rpartition("-")[2].partition(":")[0]
    parts = web_parts_with_tokens()
    async with parts.client() as client:
        plain = await client.request(method, path)
        parts.events.clear()
        parts.access.refusals.clear()
        await parts.clock.advance(1_000)
        reply = await client.request(method, path, headers=headers)

    assert assert_problem(reply, 401, "access.token") == plain.json()
    assert reply.headers["www-authenticate"] == "Bearer"
    assert parts.access.refusals == {reason: 1}
    assert parts.events == [("access.refused", {"kid": kid, "path": path, "reason": reason})]


async def test_two_authorization_headers_are_refused() -> None:
    parts = web_parts_with_tokens()
    twice = [("Authorization", f"Bearer {token}") for token in (GOOD_TOKEN, SECOND_TOKEN)]
    async with parts.client() as client:
        assert_problem(await client.post(TRANSFERS, headers=twice), 401, "access.token")

    assert parts.access.refusals == {"malformed": 1}


async def test_a_scope_that_is_missing_is_named() -> None:
    parts = web_parts_with_tokens()
    async with parts.client() as client:
        reply = await client.post(TRANSFERS, headers=bearer(READER_TOKEN), json={"note": "x"})
        other = await client.get("/xchg/quotes", headers=bearer(GOOD_TOKEN))

    assert "the scope treasury:transfer" in assert_problem(reply, 403, "access.scope")["detail"]
    assert "the scope read" in assert_problem(other, 403, "access.scope")["detail"]
    assert parts.access.refusals == {"scope": 2}
    assert [detail["kid"] for _, detail in parts.events] == ["reader", "good"]


async def test_refusals_are_all_counted_and_recorded_once_a_second() -> None:
    parts = web_parts_with_tokens()
    async with parts.client() as client:
        for _ in range(5):
            await client.get("/xchg/quotes", headers=bearer(UNKNOWN_TOKEN))
            await client.get("/xchg/quotes", headers=bearer(EXPIRED_TOKEN))
        await parts.clock.advance(1_000)
        await client.get("/xchg/quotes", headers=bearer(UNKNOWN_TOKEN))

    assert parts.access.refusals == {"unknown": 6, "expired": 5}
    assert [detail["reason"] for _, detail in parts.events] == ["unknown", "expired", "unknown"]


async def test_rate_limited_actor_gets_retry_after() -> None:
    """Both tokens of an actor draw on one allowance; reading draws on none."""
    parts = web_parts_with_tokens(GOOD, SECOND, READER, limit=SLOW)

    async def transfer(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
        return await client.post(TRANSFERS, headers=bearer(token), json={"note": "x"})

    async with parts.client() as client:
        first = [(await transfer(client, each)).status_code for each in (GOOD_TOKEN, SECOND_TOKEN)]
        refused = await transfer(client, SECOND_TOKEN)
        reads = [await client.get("/xchg/quotes", headers=bearer(READER_TOKEN)) for _ in range(5)]
        await parts.clock.advance(1_000)
        again = await transfer(client, GOOD_TOKEN)

    assert first == [201, 201]
    assert (
        "treasury-bot sends more than 1 requests"
        in assert_problem(refused, 429, "access.rate")["detail"]
    )
    assert refused.headers["retry-after"] == "1"
    assert [reply.status_code for reply in reads] == [200] * 5
    assert again.status_code == 201
    assert parts.access.refusals == {"rate": 1}


async def test_access_is_refused_before_the_body_is_read() -> None:
    """Neither a body that is too large nor one that is no JSON changes the answer."""
    async with web_parts_with_tokens(GOOD, limit=RateLimit(per_s=1, burst=1)).client() as client:
        for body in (b"x" * 100_000, b"{"):
            assert_problem(await client.post(TRANSFERS, content=body), 401, "access.token")
        for status, code in ((400, "request.invalid"), (429, "access.rate")):
            reply = await client.post(TRANSFERS, headers=bearer(GOOD_TOKEN), content=b"{")
            assert_problem(reply, status, code)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_over_the_limit_is_refused_with_the_limit(*, announced: bool) -> None:
    """On a real socket, where a body without a length comes in chunks."""

    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), 1_000):
            yield body[at : at + 1_000]

    async def sent(client: httpx2.AsyncClient, length: int) -> httpx2.Response:
        body = json.dumps({"note": "x" * (length - len('{"note": ""}'))}).encode()
        assert len(body) == length
        content = body if announced else chunks(body)
        return await client.post(TRANSFERS, headers=bearer(GOOD_TOKEN), content=content)

    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(web_parts_with_tokens()) as server,
            httpx2.AsyncClient(base_url=server.url, timeout=TIMEOUT_S) as client,
        ):
            largest = await sent(client, BODY_BYTES_MAX)
            larger = await sent(client, BODY_BYTES_MAX + 1)

    assert largest.status_code == 201
    assert largest.headers["cache-control"] == "no-store"
    body = assert_problem(larger, 413, "request.too_large")
    assert f"{BODY_BYTES_MAX} bytes at most" in body["detail"]


async def test_no_response_quotes_the_token() -> None:
    parts = web_parts_with_tokens(GOOD, EXPIRED, REVOKED, READER, limit=SLOW)
    async with parts.client() as client:
        replies = [
            await client.post(TRANSFERS, headers=bearer(token), json={"note": "x"})
            for token in TOKENS * 3
        ]

    assert {reply.status_code for reply in replies} == {201, 401, 403, 429}
    output = "".join(f"{reply.text}{reply.headers}" for reply in replies) + repr(parts.events)
    assert not [token for token in TOKENS if token.rpartition("_")[2] in output]


def test_openapi_describes_scope_and_refusals_of_a_money_route() -> None:
    described = web_parts_with_tokens().app.openapi_schema.to_schema()
    operation = described["paths"][TRANSFERS]["post"]

    assert operation["security"] == [{"bearer": ["treasury:transfer"]}]
    assert {"401", "403", "413", "429", "503"} <= operation["responses"].keys()
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "security" not in described["paths"]["/health"]["get"]


async def test_the_page_for_people_names_the_scope_of_each_route() -> None:
    parts = web_parts_with_tokens()
    described = parts.app.openapi_schema.to_schema()
    operations = [each for path in described["paths"].values() for each in path.values()]
    scopes = Counter(row["bearer"][0] for each in operations for row in each.get("security", ()))
    async with parts.client() as client:
        page = (await client.get("/schema")).text

    assert {"read", "treasury:transfer", "jobs:run"} <= scopes.keys()
    for scope, routes in scopes.items():
        assert page.count(f"Needs a token with the scope <code>{scope}</code>.") == routes


def test_an_actor_of_a_token_and_the_token_show_no_secret() -> None:
    assert not [token for token in TOKENS if token in repr((GOOD, READER))]
