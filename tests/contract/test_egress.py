"""All connections to the exchange leave by one rule: through the proxy, and to allowed hosts only.

REST, signed requests and sockets, through a real forward proxy; with TLS through its tunnel.
"""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.egress import DIRECT, Egress
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.http.client import HttpClient, HttpTimeouts, NotSent
from chimera_s1.adapters.binance.http.signed_request import (
    BinanceSignedRequest,
    Method,
    RequestTarget,
)
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.treasury.request_calls import WALLET_TRANSFER
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.market_feed import ConnectionLost, ConnectionOpened
from chimera_s1.domain.ports.treasury_gateway import no_obstacle
from tests.contract.feed_harness import CLOCK, SYMBOLS, feed_harness, simulator_endpoints
from tests.contract.forward_proxy import forward_proxy, tls_front
from tests.time_limits import TIMEOUT_S

PASSWORD = "kept-out-of-sight"
REFUSALS = {
    407: b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    502: b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
}
AMBIENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    addresses: SimulatorAddresses = await tasks.start(
        Simulator(SimulatorConfig(symbols=SYMBOLS), CLOCK).run
    )
    return addresses


def endpoints_through(addresses: SimulatorAddresses, egress: Egress) -> dict[Venue, Endpoints]:
    return {
        venue: structs.replace(endpoints, egress=egress)
        for venue, endpoints in simulator_endpoints(addresses).items()
    }


def leaving_by(egress: Egress) -> Callable[[FeedPlan], FeedPlan]:
    return lambda usual: structs.replace(usual, egress=egress)


async def post(endpoints: dict[Venue, Endpoints]) -> object:
    """The outcome of a transfer that the exchange refuses: its key is not known."""
    signer = Signer(Credentials(Secret("key"), Secret("secret")), CLOCK.now_ms)
    async with HttpClient(endpoints, weight_budgets(CLOCK)) as client:
        target = RequestTarget(Method.POST, "/sapi/v1/asset/transfer", WALLET_TRANSFER)
        signed = BinanceSignedRequest(target, (), signer)
        return await client.send_once(
            Venue.SPOT, signed, timeouts=HttpTimeouts(), obstacle=no_obstacle
        )


async def test_rest_signed_requests_and_sockets_all_pass_the_proxy(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """With its user and password; transfers and sockets by a tunnel."""
    async with forward_proxy(f"user:{PASSWORD}") as proxy:
        egress = Egress(proxy.url.replace("://", f"://user:{PASSWORD}@"))
        endpoints = endpoints_through(simulator, egress)
        async with BinanceExchangeInformation(endpoints, CLOCK) as exchange:
            await exchange.server_time_ms(Venue.PERP)
            await exchange.listings(Venue.SPOT)
        reply = await post(endpoints)
        async with feed_harness(tasks, simulator, plan=leaving_by(egress)) as feed:
            await feed.next_event(ConnectionOpened)

    assert isinstance(reply, HttpReply)
    assert proxy.requests == [
        f"{simulator.perp_rest_url}/fapi/v1/time",
        f"{simulator.spot_rest_url}/api/v3/exchangeInfo?showPermissionSets=false",
    ]
    assert proxy.tunnels == [
        simulator.spot_rest_url.removeprefix("http://"),
        simulator.perp_ws_url.removeprefix("ws://"),
    ]
    assert PASSWORD not in repr(endpoints)


@pytest.mark.parametrize("status", REFUSALS)
async def test_what_the_proxy_refuses_is_named_as_its_refusal(
    tasks: TaskGroup, simulator: SimulatorAddresses, status: int
) -> None:
    async with forward_proxy() as proxy:
        proxy.answer = REFUSALS[status]
        egress = Egress(proxy.url.replace("://", f"://user:{PASSWORD}@"))
        async with BinanceExchangeInformation(
            endpoints_through(simulator, egress), CLOCK
        ) as exchange:
            with pytest.raises(ExchangeUnavailableError, match=rf"{status}") as caught:
                await exchange.server_time_ms(Venue.PERP)
        async with feed_harness(tasks, simulator, plan=leaving_by(egress)) as feed:
            lost = await feed.next_event(ConnectionLost)

    shown = proxy.url.replace("://", "://***@")
    assert (
        f"proxy {shown} (S1_EGRESS_PROXY): HTTP proxy rejected connection with status" in lost.cause
    )
    assert str(status) in lost.cause
    if status == 407:  # a plain request's 502 may be that of the exchange's own gateway
        assert f"proxy {shown} (S1_EGRESS_PROXY): replied 407" in str(caught.value)
    assert PASSWORD not in lost.cause + str(caught.value)


async def test_a_proxy_that_cannot_be_reached_is_named(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """By reads, transfers and sockets; a transfer is then known not to be sent."""
    async with forward_proxy() as proxy:
        egress = Egress(proxy.url)
    endpoints = endpoints_through(simulator, egress)
    async with BinanceExchangeInformation(endpoints, CLOCK) as exchange:
        with pytest.raises(ExchangeUnavailableError) as caught:
            await exchange.server_time_ms(Venue.PERP)
    posted = await post(endpoints)
    async with feed_harness(tasks, simulator, plan=leaving_by(egress)) as feed:
        lost = await feed.next_event(ConnectionLost)

    assert isinstance(posted, NotSent)
    for text in (str(caught.value), posted.cause, lost.cause):
        assert f"proxy {proxy.url} (S1_EGRESS_PROXY): " in text


async def test_a_proxy_that_never_answers_ends_the_dial(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chimera_s1.adapters.binance.streams.socket_dial.DIAL_TIMEOUT_S", 0.2)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
        port = silent.extra(anyio.abc.SocketAttribute.local_port)
        egress = Egress(f"http://127.0.0.1:{port}")
        async with feed_harness(tasks, simulator, plan=leaving_by(egress)) as feed:
            lost = await feed.next_event(ConnectionLost)

    assert lost.cause.endswith("no connection within 0.2 s")


async def test_a_host_that_is_not_allowed_is_refused_before_a_socket_opens(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """The proxy sees nothing; a transfer is known not to be sent."""
    async with forward_proxy() as proxy:
        egress = Egress(proxy.url, frozenset({"api.binance.com"}))
        endpoints = endpoints_through(simulator, egress)
        async with BinanceExchangeInformation(endpoints, CLOCK) as exchange:
            with pytest.raises(
                ExchangeRefusedError, match=r"127\.0\.0\.1 is not in S1_EGRESS_ALLOW"
            ):
                await exchange.server_time_ms(Venue.PERP)
        posted = await post(endpoints)
        async with feed_harness(tasks, simulator, plan=leaving_by(egress)) as feed:
            lost = await feed.next_event(ConnectionLost)
        status = (await feed_status(simulator))["perp"]

    assert isinstance(posted, NotSent)
    assert "not in S1_EGRESS_ALLOW" in posted.cause
    assert "not in S1_EGRESS_ALLOW" in lost.cause
    assert (proxy.tunnels, proxy.requests) == ([], [])
    assert status["connections_opened"] == 0


async def feed_status(simulator: SimulatorAddresses) -> dict[str, dict[str, int]]:
    async with httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S) as control:
        venues: dict[str, dict[str, int]] = (await control.get("/sim/status")).json()["venues"]
        return venues


async def test_proxy_variables_of_the_environment_are_ignored(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that name a protocol that no client here speaks."""
    for name in AMBIENT:
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    endpoints = endpoints_through(simulator, DIRECT)
    async with BinanceExchangeInformation(endpoints, CLOCK) as exchange:
        assert await exchange.server_time_ms(Venue.PERP)
    assert isinstance(await post(endpoints), HttpReply)
    async with feed_harness(tasks, simulator) as feed:
        await feed.next_event(ConnectionOpened)


@pytest.fixture
def server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of a server whose certificate clients trust by SSL_CERT_FILE."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_tls_passes_the_proxy_in_tunnels(
    tasks: TaskGroup, simulator: SimulatorAddresses, server_context: ssl.SSLContext
) -> None:
    """The proxy sees host and port only; a refused tunnel is a transfer that was not sent."""
    async with (
        tls_front(simulator.perp_rest_url, server_context) as rest_port,
        tls_front(simulator.perp_ws_url, server_context) as ws_port,
        forward_proxy() as proxy,
    ):
        addresses = structs.replace(
            simulator,
            perp_rest_url=f"https://127.0.0.1:{rest_port}",
            spot_rest_url=f"https://127.0.0.1:{rest_port}",
            perp_ws_url=f"wss://127.0.0.1:{ws_port}",
        )
        egress = Egress(proxy.url)
        endpoints = endpoints_through(addresses, egress)
        async with BinanceExchangeInformation(endpoints, CLOCK) as exchange:
            assert await exchange.server_time_ms(Venue.PERP)
        async with feed_harness(tasks, addresses, plan=leaving_by(egress)) as feed:
            await feed.next_event(ConnectionOpened)
        proxy.answer = REFUSALS[502]
        posted = await post(endpoints)

    rest, ws = f"127.0.0.1:{rest_port}", f"127.0.0.1:{ws_port}"
    assert (proxy.tunnels, proxy.requests) == ([rest, ws, rest], [])
    assert isinstance(posted, NotSent)
    assert posted.cause.startswith(f"proxy {proxy.url} (S1_EGRESS_PROXY): ProxyError: 502")
