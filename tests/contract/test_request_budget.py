"""Clients that share an address, over real sockets; the simulator counts by its own rule."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx2
import msgspec
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.request_limits import FUTURES_WEIGHT, futures_weight
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeUnavailableError, RequestNotAdmittedError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import LimitSource, Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from tests.contract.feed_harness import simulator_endpoints
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()

LIMIT = 120
READ = RequestCall("flood", Priority.MONEY, futures_weight(1), patience_ms=0)
CLIENTS = 3
AT_ONCE = 60
MINUTE_MS = 60_000


class Address:
    """Clients behind one address, each with a budget of its own, as in processes of their own."""

    def __init__(
        self,
        clients: list[HttpClient],
        budgets: list[WeightBudget],
        control: httpx2.AsyncClient,
    ) -> None:
        self._control = control
        self.clients = clients
        self.budgets = budgets
        self.answered = self.refused = 0
        self.errors: list[ExchangeUnavailableError] = []

    async def flood(self) -> None:
        """Every client sends as much as it may, many at a time, until it may no more."""
        async with anyio.create_task_group() as tasks:
            for client in self.clients:
                for _ in range(AT_ONCE):
                    tasks.start_soon(self.read_on, client, READ)

    async def counted(self) -> dict[str, int]:
        """Weight as the exchange has counted it."""
        view = (await self._control.get("/sim/limits")).raise_for_status().json()
        counted: dict[str, int] = view["buckets"][FUTURES_WEIGHT]
        return counted

    async def read(self, client: HttpClient, call: RequestCall) -> None:
        await client.get(Venue.PERP, "/fapi/v1/time", (), msgspec.Raw, call=call)

    async def read_on(self, client: HttpClient, call: RequestCall) -> None:
        while True:
            try:
                await self.read(client, call)
            except RequestNotAdmittedError:
                self.refused += 1
                return
            except ExchangeUnavailableError as error:
                self.errors.append(error)
                return
            self.answered += 1


@asynccontextmanager
async def address(tasks: TaskGroup, instances: int) -> AsyncIterator[Address]:
    """Each client believes that *instances* share the address; no minute ends during the test."""
    config = SimulatorConfig(
        symbols=("BTCUSDT",), rate=0.001, limits={Bucket.FUTURES_WEIGHT: LIMIT}
    )
    simulator = await tasks.start(Simulator(config, CLOCK).run)
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S)
        )
        ahead_ms = MINUTE_MS - CLOCK.now_ms() % MINUTE_MS
        (await control.post("/sim/clock", json={"offset_ms": ahead_ms})).raise_for_status()
        endpoints = simulator_endpoints(simulator)
        budgets = [weight_budgets(CLOCK, instances=instances) for _ in range(CLIENTS)]
        for each in budgets:
            each[Venue.PERP].requests.learn(FUTURES_WEIGHT, LIMIT, LimitSource.SETTING)
        clients = [await stack.enter_async_context(HttpClient(endpoints, each)) for each in budgets]
        yield Address(clients, [each[Venue.PERP] for each in budgets], control)


async def test_the_sum_of_three_clients_never_passes_the_limit_of_their_address(
    tasks: TaskGroup,
) -> None:
    """And what may be used is used: they stop at the margin, not long before."""
    async with address(tasks, instances=CLIENTS) as shared:
        await shared.flood()
        counted = await shared.counted()

    assert shared.errors == []
    assert (counted["highest"], counted["passed"]) == (shared.answered, 0)
    assert shared.refused == CLIENTS * AT_ONCE
    allowed = shared.budgets[0].requests.reports(0.0)[0].allowed
    assert allowed <= shared.answered <= LIMIT


async def test_clients_that_do_not_know_of_each_other_pass_it(tasks: TaskGroup) -> None:
    """What the test above would see if the margin were not divided."""
    async with address(tasks, instances=1) as shared:
        await shared.flood()
        counted = await shared.counted()

    assert counted["highest"] > LIMIT
    assert counted["passed"] > 0
    assert any("429" in str(error) for error in shared.errors)
    assert any(budget.blocked_ms() > 0 for budget in shared.budgets)


@pytest.mark.parametrize("priority", [Priority.PROBE, Priority.BACKFILL])
async def test_what_is_less_urgent_leaves_room_for_money(
    tasks: TaskGroup, priority: Priority
) -> None:
    async with address(tasks, instances=CLIENTS) as shared:
        less = RequestCall("less urgent", priority, futures_weight(1), patience_ms=0)
        await shared.read_on(shared.clients[0], less)
        assert (shared.answered > 0, shared.refused) == (True, 1)
        await shared.read(shared.clients[0], READ)
