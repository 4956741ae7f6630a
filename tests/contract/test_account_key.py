"""Whose leverage brackets are read: the account of the key, asked of the exchange."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.account_key import ReadAccountKey, naming_venue
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.instruments.source import BinanceInstrumentSource
from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.contract.feed_harness import simulator_endpoints
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
KEY = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
ACCOUNT = "simulator:354937868"
PATH = "GET /api/v3/account"
BTC = Symbol("BTCUSDT")


class Exchange(Struct):
    """A simulator, our key reader with its source, and the settings that hold the key."""

    control: httpx2.AsyncClient
    key: ReadAccountKey
    source: BinanceInstrumentSource
    settings: list[Credentials]

    async def fault(self, do: str, times: int) -> None:
        body = {"on": PATH, "do": do, "times": times}
        (await self.control.post("/sim/faults", json=body)).raise_for_status()

    async def fired(self) -> int:
        [fault] = (await self.control.get("/sim/faults")).json()["faults"]
        return int(fault["fired"])


@asynccontextmanager
async def exchange(tasks: TaskGroup, named_by: Venue = Venue.SPOT) -> AsyncIterator[Exchange]:
    addresses = await tasks.start(Simulator(SimulatorConfig(symbols=2), CLOCK).run)
    endpoints, budgets, settings = simulator_endpoints(addresses), weight_budgets(CLOCK), [KEY]
    with anyio.fail_after(TIMEOUT_S):
        async with (
            httpx2.AsyncClient(base_url=addresses.control_url, timeout=TIMEOUT_S) as control,
            HttpClient(endpoints, budgets) as client,
        ):
            key = ReadAccountKey(
                client,
                lambda: settings[-1],
                lambda _: CLOCK.now_ms(),
                "simulator",
                lambda: named_by,
            )
            async with BinanceInstrumentSource(
                endpoints, budgets, key, RowReader(lambda _: None)
            ) as source:
                yield Exchange(control, key, source, settings)


async def test_brackets_name_the_account_of_the_key(tasks: TaskGroup) -> None:
    async with exchange(tasks) as at:
        brackets = await at.source.leverage_brackets()

    assert brackets is not None
    assert brackets[BTC].account == ACCOUNT


async def test_the_account_is_asked_once_for_each_key(tasks: TaskGroup) -> None:
    """A key that was replaced is asked for its own account."""
    async with exchange(tasks) as at:
        first = await at.key()
        await at.fault("code:-2015", times=1)
        assert await at.key() is first
        assert await at.fired() == 0

        at.settings.append(Credentials(Secret(DEMO_KEY.key), Secret("another")))
        with pytest.raises(ExchangeRefusedError, match="-2015"):
            await at.key()
        assert await at.fired() == 1


async def test_a_refused_key_has_no_brackets_and_is_asked_again(tasks: TaskGroup) -> None:
    """-2015 is the key's permissions or address; the public parts go on."""
    async with exchange(tasks) as at:
        await at.fault("code:-2015", times=1)
        with pytest.raises(ExchangeRefusedError, match="-2015"):
            await at.source.leverage_brackets()
        assert await at.source.funding_intervals()
        assert await at.fired() == 1

        brackets = await at.source.leverage_brackets()

    assert brackets is not None
    assert brackets[BTC].account == ACCOUNT


async def test_an_account_that_cannot_be_read_is_not_remembered(tasks: TaskGroup) -> None:
    async with exchange(tasks) as at:
        await at.fault("status:503", times=1)
        with pytest.raises(ExchangeUnavailableError):
            await at.key()

        assert (await at.key()).account == ACCOUNT


async def test_a_key_without_the_right_to_futures_is_refused_by_futures(tasks: TaskGroup) -> None:
    async with exchange(tasks) as at:
        denied = {"permissions": {"futures": False}}
        (await at.control.post("/sim/wallet", json=denied)).raise_for_status()

        assert (await at.key()).account == ACCOUNT
        with pytest.raises(ExchangeRefusedError, match="-2015"):
            await at.source.leverage_brackets()


async def test_without_spot_futures_name_the_account(tasks: TaskGroup) -> None:
    """The spot host may refuse the key, as that of a testnet does, or be out of reach."""
    async with exchange(tasks, Venue.PERP) as at:
        await at.fault("code:-2015", times=1)
        account = (await at.key()).account

        assert account == "simulator:futures-SgsR"
        assert await at.fired() == 0
    assert naming_venue(account) is Venue.PERP
    assert naming_venue(ACCOUNT) is Venue.SPOT
