"""Requests on the wire: rate limits, deadlines, size bounds, read errors and masked secrets."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.http import client
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyUnknown,
)
from tests.contract.gateway_to_raw_http import (
    ACCEPTED_REPLY,
    EMPTY_HISTORY_REPLY,
    HTML_BODY,
    KEY,
    ORDER,
    SECRET,
    WINDOW,
    assert_one_request,
    connected_gateway,
)
from tests.contract.raw_http_server import ScriptedReply, http_reply, raw_http_server
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S


@pytest.mark.parametrize(
    "limited",
    [
        http_reply(429, b'{"code":-1003,"msg":"Too much weight"}', "Retry-After: 7"),
        http_reply(418, HTML_BODY, "Retry-After: 7"),
        http_reply(400, b'{"code":-1003,"msg":"Too much weight"}', "Retry-After: 7"),
    ],
    ids=["429", "418", "-1003"],
)
async def test_a_rate_limit_seen_by_one_client_blocks_all_clients(limited: bytes) -> None:
    """Transfers, signed and public reads of that host, until the time is over."""
    clock = ManualClock()
    budgets = weight_budgets(clock)
    async with (
        raw_http_server(ScriptedReply(limited), ACCEPTED_REPLY, EMPTY_HISTORY_REPLY) as server,
        connected_gateway(server.url, budgets) as gateway,
        BinanceExchangeInformation(
            {Venue.SPOT: Endpoints(server.url, "")}, clock, budgets
        ) as public,
    ):
        first = await gateway.submit(gateway.sign(ORDER))
        assert isinstance(first, ReplyNotProcessed)
        assert first.retry_after_ms == 7_000
        await clock.advance(1_000)

        second = await gateway.submit(gateway.sign(ORDER))
        assert isinstance(second, ReplyNotProcessed)
        assert second.retry_after_ms == 6_000
        with pytest.raises(ExchangeUnavailableError, match="rate limited for another 6 s"):
            await gateway.read_movements(ORDER.direction, WINDOW)
        with pytest.raises(ExchangeUnavailableError, match="rate limited for another 6 s"):
            await public.server_time_ms(Venue.SPOT)
        assert_one_request(server)

        await clock.advance(6_000)
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), ReplyAccepted)


async def test_a_rate_limited_public_read_blocks_transfers() -> None:
    """The used weight in replies is counted for the whole host."""
    clock = ManualClock()
    budgets = weight_budgets(clock)
    weighed = http_reply(200, b'{"tranId":1}', "X-SAPI-USED-UID-WEIGHT-1M: 300")
    limited = http_reply(429, b"", "Retry-After: 2", "X-MBX-USED-WEIGHT-1M: 6001")
    async with (
        raw_http_server(ScriptedReply(weighed), ScriptedReply(limited), ACCEPTED_REPLY) as server,
        connected_gateway(server.url, budgets) as gateway,
        BinanceExchangeInformation(
            {Venue.SPOT: Endpoints(server.url, "")}, clock, budgets
        ) as public,
    ):
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), ReplyAccepted)
        with pytest.raises(ExchangeUnavailableError, match="429"):
            await public.server_time_ms(Venue.SPOT)
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), ReplyNotProcessed)

    used = budgets[Venue.SPOT].requests.used(clock.monotonic_ms())
    assert used == {"spot.weight": 6_001, "spot.raw": 1, "sapi.uid": 300}
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http_reply(401, b'{"code":-2015,"msg":"Invalid API-key"}'), ExchangeRefusedError),
        (http_reply(400, b'{"code":-1022,"msg":"Signature"}'), ExchangeRefusedError),
        (http_reply(400, b'{"code":-1102,"msg":"Mandatory"}'), ExchangeRefusedError),
        (http_reply(400, b'{"code":-1021,"msg":"Timestamp"}'), ExchangeUnavailableError),
        (http_reply(400, b'{"code":-1016,"msg":"Maintenance"}'), ExchangeUnavailableError),
        (http_reply(403, HTML_BODY), ExchangeUnavailableError),
        (http_reply(404, HTML_BODY), ExchangeUnavailableError),
        (http_reply(503, b'{"msg":"Service Unavailable."}'), ExchangeUnavailableError),
        (http_reply(200, HTML_BODY), ExchangeUnavailableError),
        (http_reply(200, b'{"total":1}'), ExchangeUnavailableError),
        (http_reply(200, b'{"total":1,"rows":[', announced=40), ExchangeUnavailableError),
        (http_reply(302, b"", "Location: /x"), ExchangeUnavailableError),
        (b"", ExchangeUnavailableError),
    ],
)
async def test_a_failed_read_is_unavailable_or_refused(
    answer: bytes, error: type[Exception]
) -> None:
    """Only errors of the key or of the request are refusals."""
    async with (
        raw_http_server(ScriptedReply(answer)) as server,
        connected_gateway(server.url) as gateway,
    ):
        with pytest.raises(error) as raised:
            await gateway.read_movements(ORDER.direction, WINDOW)

    assert "signature=" not in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
async def test_a_redirect_is_an_error_that_names_where_it_points(status: int) -> None:
    """It is not followed: the target would get the key."""
    async with raw_http_server() as elsewhere:
        location = f"Location: {elsewhere.url}/next?signature=abc"
        redirect = ScriptedReply(http_reply(status, b"", location))
        async with (
            raw_http_server(redirect, redirect, redirect) as server,
            connected_gateway(server.url) as gateway,
            BinanceExchangeInformation(
                {Venue.SPOT: Endpoints(server.url, "")},
                ManualClock(),
                weight_budgets(ManualClock()),
            ) as public,
        ):
            with pytest.raises(ExchangeUnavailableError) as signed_read:
                await gateway.read_movements(ORDER.direction, WINDOW)
            with pytest.raises(ExchangeUnavailableError) as public_read:
                await public.server_time_ms(Venue.SPOT)
            sent = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(sent, ReplyUnknown)
    for text in (str(signed_read.value), str(public_read.value), sent.cause):
        assert f"{status}, a redirect to 127.0.0.1, which is not followed" in text
        assert "signature" not in text
    assert len(server.requests) == 3
    assert elsewhere.requests == []


async def test_secrets_echoed_by_the_exchange_appear_in_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No reply, error, text or log line of any library shows key, secret or signature."""
    caplog.set_level(logging.DEBUG)
    async with raw_http_server(ACCEPTED_REPLY) as server, connected_gateway(server.url) as gateway:
        signed = gateway.sign(ORDER)
        await gateway.submit(signed)
    signature = server.requests[0].body.partition(b"signature=")[2].decode()
    echo = f'{{"code":-1102,"msg":"bad: {KEY} {SECRET} {server.requests[0].body.decode()}"}}'
    echoing = ScriptedReply(http_reply(400, echo.encode()))

    async with raw_http_server(echoing) as server, connected_gateway(server.url) as gateway:
        outcome = await gateway.submit(gateway.sign(ORDER))
        with pytest.raises(ExchangeRefusedError) as raised:
            await gateway.read_income(WINDOW)
    query = server.requests[-1].target.partition(b"signature=")[2].decode()

    texts = [
        repr(signed),
        str(signed),
        repr(outcome),
        repr(raised.value),
        repr(gateway),
        caplog.text,
    ]
    for secret in (KEY, SECRET, signature, query):
        assert len(secret) == 64
        assert not [text for text in texts if secret in text]
    assert "HTTP Request" in caplog.text


@asynccontextmanager
async def public_reads(url: str, clock: ManualClock) -> AsyncIterator[BinanceExchangeInformation]:
    endpoints = {venue: Endpoints(url, "") for venue in Venue}
    with anyio.fail_after(TIMEOUT_S):
        async with BinanceExchangeInformation(endpoints, clock) as public:
            yield public


TIME_REPLY = ScriptedReply(http_reply(200, b'{"serverTime":1772655374000}'))


async def test_public_reads_ignore_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They go the same way as signed requests."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with (
        raw_http_server(TIME_REPLY) as server,
        public_reads(server.url, ManualClock()) as public,
    ):
        assert await public.server_time_ms(Venue.SPOT) == 1_772_655_374_000


async def test_a_read_keeps_the_path_of_the_base_url() -> None:
    """A relay may serve the exchange below a path."""
    async with (
        raw_http_server(TIME_REPLY) as server,
        public_reads(f"{server.url}/relay", ManualClock()) as public,
    ):
        await public.server_time_ms(Venue.SPOT)

    assert [request.target for request in server.requests] == [b"/relay/api/v3/time"]


async def test_a_public_read_that_exceeds_the_weight_limit_blocks_the_host() -> None:
    """Also when only the code in the body reports it."""
    clock = ManualClock()
    limited = http_reply(400, b'{"code":-1003,"msg":"Too much weight"}', "Retry-After: 7")
    async with (
        raw_http_server(ScriptedReply(limited)) as server,
        public_reads(server.url, clock) as public,
    ):
        for text in ("no requests for 7 s", "rate limited for another 7 s"):
            with pytest.raises(ExchangeUnavailableError, match=text):
                await public.server_time_ms(Venue.SPOT)

    assert len(server.requests) == 1


async def test_a_read_ends_at_its_size_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply without end does not fill the memory."""
    monkeypatch.setattr(client, "READ_BYTES_MAX", 1_000)
    flood = ScriptedReply(http_reply(200, b" " * 2_000, announced=10**9), after_reply="stay")
    async with (
        raw_http_server(flood) as server,
        public_reads(server.url, ManualClock()) as public,
    ):
        with pytest.raises(ExchangeUnavailableError, match="longer than 1000 bytes"):
            await public.server_time_ms(Venue.SPOT)

    assert len(server.requests) == 1


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", http_reply(200, b"{", announced=9)])
async def test_a_read_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A part of the reply has arrived by then."""
    monkeypatch.setattr(client, "READ_TIMEOUTS", client.HttpTimeouts(total_s=0.3))
    async with (
        raw_http_server(ScriptedReply(begun, after_reply="stay")) as server,
        public_reads(server.url, ManualClock()) as public,
    ):
        with pytest.raises(ExchangeUnavailableError, match=r"no reply within 0\.3 s"):
            await public.server_time_ms(Venue.SPOT)

    assert len(server.requests) == 1
