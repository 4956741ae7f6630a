"""What a venue says about its limits holds every dial, and requests where it bans the address.

Real sockets; waits are on a manual clock.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.streams import market_socket
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dial_budget import dial_limit
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from chimera_s1.domain.ports.market_feed import ConnectionFatal, ConnectionLost
from tests.contract.feed_harness import FeedHarness, feed_harness, simulator_endpoints
from tests.contract.raw_exchange import (
    CLOSE,
    RawExchange,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()

POLICY = ReconnectPolicy(Backoff(base_ms=10, max_wait_ms=10, jitter_ms=0), 3, scan_ms=60)
DATA = server_frame(book_ticker_message(1))
CLOSED_1008 = server_frame((1008).to_bytes(2, "big") + b"Too many requests", CLOSE)
REFUSED_503 = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n"
REFUSED_418 = (
    b"HTTP/1.1 418 I'm a teapot\r\nDate: Tue, 03 Mar 2026 05:07:40 GMT\r\n\r\n"
    b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1772515060000."}'
)
REFUSED_429 = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw exchange does not answer them."""
    monkeypatch.setattr(market_socket, "PING_INTERVAL_MS", 86_400_000)


def gate_of(clock: ManualClock) -> DialGate:
    return DialGate(clock, VenueHold(), dial_limit(1))


@asynccontextmanager
async def fed(
    tasks: TaskGroup, exchange: RawExchange, clock: ManualClock, gate: DialGate
) -> AsyncIterator[FeedHarness]:
    def quick(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, policy=POLICY, streams_per_connection=1)

    with anyio.fail_after(TIMEOUT_S):
        async with feed_harness(
            tasks,
            exchange.addresses,
            Venue.SPOT,
            symbols=["BTCUSDT"],
            plan=quick,
            clock=clock,
            gate=gate,
        ) as feed:
            yield feed


async def dial_after(exchange: RawExchange, clock: ManualClock, wait_ms: float, dials: int) -> None:
    """Dial number *dials* comes after *wait_ms*, and no earlier."""
    await settle()
    await clock.advance(wait_ms - 1)
    await settle()
    assert exchange.connections_accepted == dials - 1
    await clock.advance(1)
    await exchange.until(lambda: exchange.connections_accepted == dials)


async def test_a_venue_that_closes_with_1008_after_data_is_dialled_ever_more_rarely(
    tasks: TaskGroup,
) -> None:
    """60 s, 120 s, 240 s; data in between resets nothing, and after the last retry it is FATAL."""
    clock = ManualClock()
    gate = gate_of(clock)
    async with (
        raw_exchange([DATA + CLOSED_1008]) as exchange,
        fed(tasks, exchange, clock, gate) as feed,
    ):
        for number, wait_ms in enumerate((60_000, 120_000, 240_000), start=1):
            lost = await feed.next_event(ConnectionLost)
            assert (lost.retry_in_ms, lost.retry_count) == (wait_ms, number)
            await dial_after(exchange, clock, wait_ms, number + 1)
        fatal = await feed.next_event(ConnectionFatal)

    assert fatal.retry_count == POLICY.retries_max + 1
    assert gate.report().level is Level.ORANGE
    assert gate.report().sentence.startswith(
        "no dials for another 480 s: a socket was closed with 1008 Too many requests"
    )


@pytest.mark.parametrize(
    ("handshake", "wait_ms", "scope"),
    [
        (REFUSED_429, 120_000, HoldScope.ALL),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", 60_000, HoldScope.ALL),
        (REFUSED_418, 600_000, HoldScope.ALL),
        (REFUSED_503, 7_000, HoldScope.DIALS),
    ],
    ids=["429", "429-unnamed", "418-in-the-body", "503"],
)
async def test_a_refused_upgrade_holds_the_venue_for_as_long_as_it_says(
    tasks: TaskGroup, handshake: bytes, wait_ms: float, scope: HoldScope
) -> None:
    """A ban of the address holds REST requests, too; the next dial comes when it is over."""
    clock = ManualClock()
    gate = gate_of(clock)
    budget = weight_budgets(clock, dict.fromkeys(Venue, gate.hold))[Venue.SPOT]
    async with (
        raw_exchange([], handshake=handshake) as exchange,
        fed(tasks, exchange, clock, gate) as feed,
    ):
        lost = await feed.next_event(ConnectionLost)
        assert lost.retry_in_ms == wait_ms
        assert (budget.blocked_ms() > 0) == (scope is HoldScope.ALL)
        await dial_after(exchange, clock, wait_ms, 2)

    assert lost.cause.startswith(
        f"cannot connect to {exchange.url}/stream: refused with {handshake[9:12].decode()}"
    )


async def test_all_connections_of_a_venue_obey_what_one_has_heard(tasks: TaskGroup) -> None:
    """The second feed has heard nothing; it dials when the hold of the first one is over."""
    clock = ManualClock()
    gate = gate_of(clock)
    async with raw_exchange([], handshake=REFUSED_429) as exchange:
        async with fed(tasks, exchange, clock, gate) as feed:
            await feed.next_event(ConnectionLost)
        async with fed(tasks, exchange, clock, gate) as other:
            assert other.feed.report().dial_wait_ms == 120_000
            await dial_after(exchange, clock, 120_000, 2)


class Banned:
    """REST of a simulator with one fault, on a manual clock, and the gate of the same venue."""

    def __init__(self, addresses: SimulatorAddresses, clock: ManualClock) -> None:
        holds = {venue: VenueHold() for venue in Venue}
        self.gate = DialGate(clock, holds[Venue.PERP], dial_limit(1))
        self.exchange = BinanceExchangeInformation(
            simulator_endpoints(addresses), clock, weight_budgets(clock, holds)
        )
        self.control = httpx2.AsyncClient(base_url=addresses.control_url, timeout=TIMEOUT_S)


@pytest.mark.parametrize(("fault", "wait_s"), [("ban:600", 600), ("rate-limit:120", 120)])
async def test_a_ban_heard_by_rest_holds_dials_and_requests_until_it_ends(
    tasks: TaskGroup, fault: str, wait_s: int
) -> None:
    """Also where only the body of the 418 says until when."""
    addresses = await tasks.start(Simulator(SimulatorConfig(symbols=("BTCUSDT",)), CLOCK).run)
    clock = ManualClock(CLOCK.now_ms())
    banned = Banned(addresses, clock)
    async with banned.exchange as exchange, banned.control as control:
        request = {"on": "rest:perp", "do": fault, "times": 5}
        (await control.post("/sim/faults", json=request)).raise_for_status()
        for _ in range(3):
            with pytest.raises(ExchangeUnavailableError):
                await exchange.server_time_ms(Venue.PERP)
        held_ms = banned.gate.wait_ms()
        # The reply's Date has a resolution of one second.
        assert wait_s * 1000 <= held_ms <= wait_s * 1000 + 1_000 + CLOCK.now_ms() - clock.now_ms()
        fired = (await control.get("/sim/faults")).json()["faults"][0]["fired"]
        await control.delete("/sim/faults")
        await clock.advance(held_ms)
        assert await exchange.server_time_ms(Venue.PERP)

    assert fired == 1


@pytest.mark.parametrize(
    ("faults", "status", "header"),
    [(["rate-limit:120"], 429, "120"), (["ban:600"], 418, None)],
)
async def test_the_simulator_refuses_upgrades_as_binance_does(
    tasks: TaskGroup, faults: Sequence[str], status: int, header: str | None
) -> None:
    """Status, `Retry-After`, and the end of the ban in the body."""
    addresses = await tasks.start(Simulator(SimulatorConfig(symbols=("BTCUSDT",)), CLOCK).run)
    async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
        for do in faults:
            body = {"on": "ws:perp", "do": do}
            await client.post(f"{addresses.control_url}/sim/faults", json=body)
        reply = await client.get(
            addresses.perp_ws_url.replace("ws://", "http://") + "/public/stream"
        )

    assert (reply.status_code, reply.headers.get("Retry-After")) == (status, header)
    assert ("banned until" in reply.text) == (status == 418)
