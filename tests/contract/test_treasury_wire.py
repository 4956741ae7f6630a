"""
The transfer on the wire: one request, once, on a fresh connection, and what is made of any answer.
"""

import hashlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import pytest

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.hosts import Deadlines
from chimera_s1.adapters.binance.rest import BinanceRest
from chimera_s1.adapters.binance.signing import Credentials, Secret
from chimera_s1.adapters.binance.treasury_gateway import Account, BinanceTreasuryGateway
from chimera_s1.adapters.binance.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.memory.clock import ManualClock
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.treasury_gateway import (
    Accepted,
    NotSent,
    Refused,
    Reply,
    TransferOrder,
    TurnedAway,
    Unknown,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import Window
from tests.contract.raw_http import HOST, RawHttp, Script, raw_http, reply

KEY = "k" * 31 + "K" * 33
SECRET = "s" * 31 + "S" * 33
SIGNED_AT = 1_772_655_374_000
ORDER = TransferOrder(
    direction=Direction.SPOT_TO_FUTURES,
    amount=Decimal("25.00000117"),
    client_id="s1-abc-1",
    signed_at=SIGNED_AT,
    recv_window_ms=5_000,
)
WINDOW = Window(SIGNED_AT, SIGNED_AT + 1_000)
DONE = Script(reply(200, b'{"tranId":13526853623}'))
EMPTY = Script(reply(200, b'{"total":0,"rows":[]}'), then="next")
HTML = b"<html><h1>Bad Gateway</h1></html>"
QUICK = Deadlines(connect_s=5.0, total_s=0.3)


@asynccontextmanager
async def gateway_to(
    url: str,
    budgets: dict[Venue, WeightBudget] | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 (frozen)
) -> AsyncIterator[BinanceTreasuryGateway]:
    account = Account(
        endpoints={venue: Endpoints(url, "") for venue in Venue},
        credentials=Credentials(Secret(KEY), Secret(SECRET)),
        exchange_ms=lambda: SIGNED_AT + 0.4,
        budgets=budgets or weight_budgets(ManualClock()),
        deadlines=deadlines,
    )
    with anyio.fail_after(60):
        async with BinanceTreasuryGateway(account) as gateway:
            yield gateway


async def answer_to(script: Script, deadlines: Deadlines = Deadlines()) -> Reply:  # noqa: B008
    """The reply to one transfer; the server proves that it was asked exactly once."""
    async with raw_http(script) as server, gateway_to(server.url, deadlines=deadlines) as gateway:
        said = await gateway.submit(gateway.sign(ORDER))
        assert_asked_once(server)
        return said


def assert_asked_once(server: RawHttp) -> None:
    assert (server.dials, len(server.requests), server.fragments) == (1, 1, [])


def signature_of(signed: bytes) -> bytes:
    return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest().encode()


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
    """So it may be tried again."""
    async with gateway_to(f"http://{HOST}:{closed_port}") as gateway:
        said = await gateway.submit(gateway.sign(ORDER))

    assert isinstance(said, NotSent)


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


@pytest.mark.parametrize(
    "limited",
    [
        reply(429, b'{"code":-1003,"msg":"Too much weight"}', "Retry-After: 7"),
        reply(418, HTML, "Retry-After: 7"),
        reply(400, b'{"code":-1003,"msg":"Too much weight"}', "Retry-After: 7"),
    ],
    ids=["429", "418", "-1003"],
)
async def test_one_who_is_turned_away_keeps_all_others_from_asking(limited: bytes) -> None:
    """Transfers, signed reads and public ones of that host, until the time is over."""
    clock = ManualClock()
    budgets = weight_budgets(clock)
    async with (
        raw_http(Script(limited), DONE, EMPTY) as server,
        gateway_to(server.url, budgets) as gateway,
        BinanceRest({Venue.SPOT: Endpoints(server.url, "")}, clock, budgets) as public,
    ):
        first = await gateway.submit(gateway.sign(ORDER))
        assert isinstance(first, TurnedAway)
        assert first.wait_ms == 7_000
        await clock.advance(1_000)

        second = await gateway.submit(gateway.sign(ORDER))
        assert isinstance(second, TurnedAway)
        assert second.wait_ms == 6_000
        with pytest.raises(ExchangeUnavailableError, match="stay away for another 6 s"):
            await gateway.movements(ORDER.direction, WINDOW)
        with pytest.raises(ExchangeUnavailableError, match="stay away for another 6 s"):
            await public.server_time_ms(Venue.SPOT)
        assert_asked_once(server)

        await clock.advance(6_000)
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), Accepted)


async def test_a_public_read_that_is_limited_stops_transfers_too() -> None:
    """And the weight that replies tell is counted for the whole host."""
    clock = ManualClock()
    budgets = weight_budgets(clock)
    told = reply(200, b'{"tranId":1}', "X-SAPI-USED-UID-WEIGHT-1M: 900")
    limited = reply(429, b"", "Retry-After: 2", "X-MBX-USED-WEIGHT-1M: 6001")
    async with (
        raw_http(Script(told), Script(limited), DONE) as server,
        gateway_to(server.url, budgets) as gateway,
        BinanceRest({Venue.SPOT: Endpoints(server.url, "")}, clock, budgets) as public,
    ):
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), Accepted)
        with pytest.raises(ExchangeUnavailableError, match="429"):
            await public.server_time_ms(Venue.SPOT)
        assert isinstance(await gateway.submit(gateway.sign(ORDER)), TurnedAway)

    assert budgets[Venue.SPOT].used == {"ip": 6_001, "sapi_uid": 900}
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(401, b'{"code":-2015,"msg":"Invalid API-key"}'), ExchangeRefusedError),
        (reply(400, b'{"code":-1022,"msg":"Signature"}'), ExchangeRefusedError),
        (reply(400, b'{"code":-1102,"msg":"Mandatory"}'), ExchangeRefusedError),
        (reply(400, b'{"code":-1021,"msg":"Timestamp"}'), ExchangeUnavailableError),
        (reply(400, b'{"code":-1016,"msg":"Maintenance"}'), ExchangeUnavailableError),
        (reply(403, HTML), ExchangeUnavailableError),
        (reply(404, HTML), ExchangeUnavailableError),
        (reply(503, b'{"msg":"Service Unavailable."}'), ExchangeUnavailableError),
        (reply(200, HTML), ExchangeUnavailableError),
        (reply(200, b'{"total":1}'), ExchangeUnavailableError),
        (reply(200, b'{"total":1,"rows":[', announced=40), ExchangeUnavailableError),
        (reply(302, b"", "Location: /x"), ExchangeUnavailableError),
        (b"", ExchangeUnavailableError),
    ],
)
async def test_a_read_says_whether_asking_later_may_help(
    answer: bytes, error: type[Exception]
) -> None:
    """Only what the exchange says about key or question is a refusal."""
    async with raw_http(Script(answer)) as server, gateway_to(server.url) as gateway:
        with pytest.raises(error) as raised:
            await gateway.movements(ORDER.direction, WINDOW)

    assert "signature=" not in str(raised.value)
    assert KEY not in str(raised.value)


async def test_an_exchange_that_repeats_everything_it_hears_learns_us_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No reply, error, text or log line of any library shows key, secret or signature."""
    caplog.set_level(logging.DEBUG)
    async with raw_http(DONE) as server, gateway_to(server.url) as gateway:
        signed = gateway.sign(ORDER)
        await gateway.submit(signed)
    signature = server.requests[0].body.partition(b"signature=")[2].decode()
    echo = f'{{"code":-1102,"msg":"bad: {KEY} {SECRET} {server.requests[0].body.decode()}"}}'
    echoing = Script(reply(400, echo.encode()))

    async with raw_http(echoing) as server, gateway_to(server.url) as gateway:
        said = await gateway.submit(gateway.sign(ORDER))
        with pytest.raises(ExchangeRefusedError) as raised:
            await gateway.income(WINDOW)
    query = server.requests[-1].target.partition(b"signature=")[2].decode()

    texts = [repr(signed), str(signed), repr(said), repr(raised.value), repr(gateway), caplog.text]
    for secret in (KEY, SECRET, signature, query):
        assert len(secret) == 64
        assert not [text for text in texts if secret in text]
    assert "HTTP Request" in caplog.text
