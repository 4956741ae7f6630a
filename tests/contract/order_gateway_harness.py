"""An order gateway in front of an exchange under a test's control: the simulator, and in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

from msgspec import Struct

from chimera_s1.adapters.binance.account_key import AccountKey
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.binance.orders.gateway import BinanceOrderGateway
from chimera_s1.adapters.binance.orders.order_parameters import place_path
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.execution.order_request import (
    Limit,
    OneWay,
    OrderFamily,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOrder,
    Stop,
    TimeInForce,
    WorkingType,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.order_gateway import OrderGateway, OutcomeUnknown
from tests.fakes.order_exchange import FakeOrderExchange, Handling
from tests.simulator_client import SimulatorClient, simulator_client

BTC = Symbol("BTCUSDT")
CLOCK = SystemClock()
_numbers = count(1)


class OrderGatewayHarness(Struct):
    """Attributes:
    last: The price of BTCUSDT.
    execute_then_lose: The next order of this family is executed, and its reply lost.
    lose_before: It is not executed, and there is no reply.
    """

    gateway: OrderGateway
    last: Callable[[Venue], Awaitable[Decimal]]
    execute_then_lose: Callable[[OrderFamily], Awaitable[None]]
    lose_before: Callable[[OrderFamily], Awaitable[None]]

    async def resting_order(self, family: OrderFamily) -> OrderRequest:
        """A new buy order that stays open."""
        last, client_id = await self.last(family.venue), f"s1-gw-{next(_numbers)}"
        price = (last * Decimal("0.98")).quantize(Decimal(1))
        qty, tif = Decimal("0.01"), TimeInForce.GTC
        limit = Limit(qty=qty, price=price, time_in_force=tif)
        scope = OneWay(reduce_only=False)
        match family:
            case OrderFamily.PERP_ORDER:
                return PerpOrder(
                    client_id=client_id, symbol=BTC, side=Side.BUY, scope=scope, body=limit
                )
            case OrderFamily.PERP_ALGO:
                trigger = (last * Decimal("1.02")).quantize(Decimal(1))
                return PerpAlgoOrder(
                    client_id=client_id,
                    symbol=BTC,
                    side=Side.BUY,
                    scope=scope,
                    working_type=WorkingType.CONTRACT_PRICE,
                    body=Stop(qty=qty, trigger=trigger),
                )
            case _:
                return SpotOrder(client_id=client_id, symbol=BTC, side=Side.BUY, body=limit)


@asynccontextmanager
async def memory_orders() -> AsyncIterator[OrderGatewayHarness]:
    exchange = FakeOrderExchange(CLOCK)
    lost = OutcomeUnknown(cause="no reply")

    async def last(_: Venue) -> Decimal:
        return Decimal(67_000)

    async def handle(*, executes: bool) -> None:
        exchange.handling.append(Handling(executes=executes, reply=lost))

    yield OrderGatewayHarness(
        exchange,
        last,
        execute_then_lose=lambda _: handle(executes=True),
        lose_before=lambda _: handle(executes=False),
    )


@asynccontextmanager
async def simulator_orders(urls: dict[str, str]) -> AsyncIterator[OrderGatewayHarness]:
    async with simulator_client(urls) as sim, binance_orders(urls) as (gateway, _):

        async def last(venue: Venue) -> Decimal:
            path = "/api/v3" if venue is Venue.SPOT else "/fapi/v1"
            _, body, _ = await sim.rest(venue.value, f"{path}/ticker/price?symbol={BTC}")
            return Decimal(body["price"])

        yield OrderGatewayHarness(
            gateway,
            last,
            execute_then_lose=lambda family: fault(sim, family, "execute-then-drop"),
            lose_before=lambda family: fault(sim, family, "drop-before"),
        )


async def fault(sim: SimulatorClient, family: OrderFamily, action: str) -> None:
    await sim.control("POST", "/sim/faults", {"on": f"POST {place_path(family)}", "do": action})


@asynccontextmanager
async def binance_orders(
    urls: dict[str, str],
) -> AsyncIterator[tuple[BinanceOrderGateway, BinanceExchangeAccount]]:
    """Both adapters of one account of the simulator."""
    credentials = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
    signer = Signer(credentials, CLOCK.now_ms)

    async def key() -> AccountKey:
        return AccountKey(signer, "simulator:1")

    endpoints = {
        Venue.SPOT: Endpoints(urls["spot_rest_url"], ""),
        Venue.PERP: Endpoints(urls["perp_rest_url"], ""),
    }
    async with HttpClient(endpoints, weight_budgets(CLOCK)) as client:
        yield (
            BinanceOrderGateway(client, key),
            BinanceExchangeAccount(client, key, lambda _: CLOCK.now_ms()),
        )
