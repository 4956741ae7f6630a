"""The mark price stream over real sockets, and the connection that is renewed when it is silent."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx2
import msgspec
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.mark_prices import BinanceMarkPrices
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import Settled
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FeedEvent,
)
from tests.contract.feed_harness import CLOCK, MANY_DIALS, QUICK_RECONNECT
from tests.contract.raw_exchange import TEXT, raw_exchange, server_frame
from tests.steady_time import SteadyClock
from tests.time_limits import TIMEOUT_S

SYMBOLS = ("BTCUSDT", "ETHUSDT")
ROW = b'{"e":"markPriceUpdate","E":%d,"s":"BTCUSDT","r":"0.0001","T":1772506400000,"st":1}'
ACKNOWLEDGED = server_frame(b'{"result":null,"id":1}')


def message(event_time: int) -> bytes:
    return server_frame(b'{"stream":"!markPrice@arr@1s","data":[%b]}' % (ROW % event_time))


class QuickTimers(SteadyClock):
    """Waits a tenth of the time."""

    async def sleep_ms(self, duration_ms: float) -> None:
        await super().sleep_ms(duration_ms / 10)


class Receiver:
    def __init__(self, ws_url: str, clock: SteadyClock, silent_checks_max: int) -> None:
        self._sender, self.estimates = anyio.create_memory_object_stream[FundingEstimate](1_000)
        self._event_sender, self._events = anyio.create_memory_object_stream[FeedEvent](1_000)
        self.prices = BinanceMarkPrices(
            ws_url,
            policy=QUICK_RECONNECT,
            clock=clock,
            gate=DialGate(CLOCK, VenueHold(), MANY_DIALS),
            draw=random.random,
            listener=self._event_sender.send_nowait,
            rows=RowReader(lambda _: None),
            silent_checks_max=silent_checks_max,
        )

    async def run(self) -> None:
        await self.prices.run(self._on_estimates)

    def _on_estimates(self, estimates: Sequence[FundingEstimate]) -> None:
        for each in estimates:
            self._sender.send_nowait(each)

    async def event(self, kind: type[FeedEvent]) -> FeedEvent:
        async for event in self._events:
            assert not isinstance(event, ConnectionFatal), "estimates must not stop the trading"
            if isinstance(event, kind):
                return event
        raise AssertionError("the mark prices have ended")

    def close(self) -> None:
        for each in (self._sender, self.estimates, self._event_sender, self._events):
            each.close()


@asynccontextmanager
async def receiving(
    ws_url: str, clock: SteadyClock = CLOCK, silent_checks_max: int = 10
) -> AsyncIterator[Receiver]:
    receiver = Receiver(ws_url, clock, silent_checks_max)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as own:
            own.start_soon(receiver.run)
            try:
                yield receiver
            finally:
                own.cancel_scope.cancel()
    receiver.close()


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    config = SimulatorConfig(symbols=SYMBOLS, rate=20.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


async def test_estimates_come_again_after_a_loss(simulator: SimulatorAddresses) -> None:
    async with (
        receiving(simulator.perp_ws_url) as receiver,
        httpx2.AsyncClient(
            base_url=simulator.control_url, trust_env=False, timeout=TIMEOUT_S
        ) as control,
    ):
        unconnected = receiver.prices.report()
        before = {(await receiver.estimates.receive()).symbol for _ in range(2)}
        connected = receiver.prices.report()
        fault = {"on": "ws:perp", "do": "disconnect"}
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        await receiver.event(ConnectionLost)
        lost = receiver.prices.report()
        await receiver.event(ConnectionOpened)
        after = await receiver.estimates.receive()

    assert (unconnected.connected, unconnected.age_ms) == (False, None)
    assert before == {"BTCUSDT", "ETHUSDT"}
    assert after.funding_time > after.event_time > 0
    assert (connected.connected, connected.counts.reconnects) == (True, 0)
    assert (lost.connected, lost.counts.reconnects) == (False, 1)


async def test_a_renewal_loses_no_settlement_and_invents_none(
    simulator: SimulatorAddresses,
) -> None:
    """The exchange closes the connection just before a settlement; both sockets deliver, and each
    settlement shows once.
    """
    async with (
        receiving(simulator.perp_ws_url) as receiver,
        httpx2.AsyncClient(
            base_url=simulator.control_url, trust_env=False, timeout=TIMEOUT_S
        ) as control,
    ):
        latest = LatestEstimates()
        settled: list[Settled] = []

        async def take() -> FundingEstimate:
            estimate = await receiver.estimates.receive()
            settled.extend(latest.take([estimate]).settled)
            return estimate

        first = await take()
        left_ms = first.funding_time - first.event_time - 1_500
        fault = {"on": "ws:perp", "do": "shutdown"}
        (await control.post("/sim/clock", json={"offset_ms": left_ms})).raise_for_status()
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        await receiver.event(ConnectionRenewed)
        left = {*SYMBOLS}
        while left:
            estimate = await take()
            if estimate.event_time >= first.funding_time + 500:
                left.discard(estimate.symbol)
        report = receiver.prices.report()

    served = sorted(each for each in settled if each.symbol in SYMBOLS)
    assert served == [Settled(Symbol(name), first.funding_time) for name in SYMBOLS]
    assert report.counts.reconnects == 0, "it was renewed, and not lost"


async def test_a_connection_without_messages_is_dead_whatever_its_pongs_say() -> None:
    """The subscription is acknowledged, on the only path that delivers the stream."""
    pieces = [ACKNOWLEDGED + message(7)]
    async with (
        raw_exchange(pieces) as exchange,
        receiving(exchange.url, QuickTimers(), silent_checks_max=2) as receiver,
    ):
        request = msgspec.json.decode(await exchange.wait_for_frame(TEXT))
        await receiver.event(ConnectionOpened)
        first = await receiver.estimates.receive()
        lost = await receiver.event(ConnectionLost)
        await receiver.event(ConnectionOpened)
        accepted = exchange.connections_accepted

    assert request["params"] == ["!markPrice@arr@1s"]
    assert first.event_time == 7
    assert isinstance(lost, ConnectionLost)
    assert lost.cause == "no message of !markPrice@arr@1s for 2 s"
    assert accepted > 1
