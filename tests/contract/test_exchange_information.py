"""What every `ExchangeInformation` does: Binance's REST interface against the simulator, and
memory.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.market.quote import book_defect
from chimera_s1.domain.ports.exchange_information import ExchangeInformation, TopOfBook
from tests.contract.feed_harness import simulator_endpoints
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BOTH_VENUES = [InstrumentId(venue, Symbol(name)) for venue in Venue for name in SYMBOLS]
UNLISTED = InstrumentId(Venue.SPOT, Symbol("NOSUCHUSDT"))


class Exchange(Struct):
    """The port, and control of the exchange behind it."""

    port: ExchangeInformation
    set_clock: Callable[[int], Awaitable[None]]
    fall_silent: Callable[[], Awaitable[None]]


@asynccontextmanager
async def memory_exchange() -> AsyncIterator[Exchange]:
    exchange = MemoryExchangeInformation(CLOCK, [Listing(i, "USDT", True) for i in BOTH_VENUES])  # noqa: FBT003 (a row)
    exchange.book_tops = {
        instrument: TopOfBook(100.0, 1.0, 100.5, 2.0, 1) for instrument in BOTH_VENUES
    }

    async def set_clock(offset_ms: int) -> None:
        exchange.offset_ms = offset_ms

    async def fall_silent() -> None:
        exchange.error = ExchangeUnavailableError("gone")

    yield Exchange(exchange, set_clock, fall_silent)


@asynccontextmanager
async def binance_exchange(tasks: TaskGroup) -> AsyncIterator[Exchange]:
    config = SimulatorConfig(symbols=SYMBOLS, rate=0.001)
    addresses = await tasks.start(Simulator(config, CLOCK).run)
    async with (
        httpx2.AsyncClient(base_url=addresses.control_url, timeout=TIMEOUT_S) as control,
        BinanceExchangeInformation(simulator_endpoints(addresses), CLOCK) as rest,
    ):

        async def set_clock(offset_ms: int) -> None:
            reply = await control.post("/sim/clock", json={"offset_ms": offset_ms})
            reply.raise_for_status()

        async def fall_silent() -> None:
            for path in ("/api/v3/exchangeInfo", "/api/v3/time", "/api/v3/depth"):
                fault = {"on": f"GET {path}", "do": "drop-before", "times": 10}
                (await control.post("/sim/faults", json=fault)).raise_for_status()

        yield Exchange(rest, set_clock, fall_silent)


@pytest.fixture(params=["memory", "binance"])
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Exchange]:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            made = memory_exchange() if request.param == "memory" else binance_exchange(tasks)
            async with made as each:
                yield each
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("venue", Venue)
async def test_listings_are_those_of_the_venue(exchange: Exchange, venue: Venue) -> None:
    """Each instrument once, with its quote asset and whether it trades."""
    listings = await exchange.port.listings(venue)
    names = [row.instrument.symbol for row in listings]

    assert {row.instrument.venue for row in listings} == {venue}
    assert len(set(names)) == len(names)
    assert set(SYMBOLS) <= set(names)
    for row in listings:
        if row.instrument.symbol in SYMBOLS:
            assert (row.quote_asset, row.trading) == ("USDT", True)


@pytest.mark.parametrize("venue", Venue)
@pytest.mark.parametrize("offset_ms", [0, 3_600_000, -3_600_000])
async def test_the_server_time_is_the_exchanges_clock(
    exchange: Exchange, venue: Venue, offset_ms: int
) -> None:
    """Whole epoch ms, independent of the local clock."""
    await exchange.set_clock(offset_ms)
    before_ms = CLOCK.now_ms()
    server_ms = await exchange.port.server_time_ms(venue)
    after_ms = CLOCK.now_ms()

    assert isinstance(server_ms, int)
    assert before_ms - 1 <= server_ms - offset_ms <= after_ms + 1


@pytest.mark.parametrize("instrument", BOTH_VENUES, ids=str)
async def test_a_book_has_a_top(exchange: Exchange, instrument: InstrumentId) -> None:
    """Valid prices and quantities, and the same again in an unchanged book."""
    top = await exchange.port.top_of_book(instrument)

    assert book_defect(top.bid, top.bid_qty, top.ask, top.ask_qty) is None
    assert top == await exchange.port.top_of_book(instrument)


async def test_an_unlisted_symbol_is_refused(exchange: Exchange) -> None:
    """Refused, not unavailable: the same call will not succeed later."""
    with pytest.raises(ExchangeRefusedError):
        await exchange.port.top_of_book(UNLISTED)


async def test_every_read_of_a_silent_venue_is_unavailable(exchange: Exchange) -> None:
    """The same call may succeed later."""
    await exchange.fall_silent()

    with pytest.raises(ExchangeUnavailableError):
        await exchange.port.listings(Venue.SPOT)
    with pytest.raises(ExchangeUnavailableError):
        await exchange.port.server_time_ms(Venue.SPOT)
    with pytest.raises(ExchangeUnavailableError):
        await exchange.port.top_of_book(BOTH_VENUES[0])
