"""Port `order_gateway`, and reads of the account: the adapter at the simulator, and the fake."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.config import AccountConfig, SimulatorConfig
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import (
    Limit,
    LimitMaker,
    Market,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderFamily,
    OrderRef,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    TimeInForce,
    WorkingType,
    ref_of,
)
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestRefused,
)
from chimera_s1.domain.ports.treasury_gateway import no_obstacle
from tests.contract.order_gateway_harness import (
    BTC,
    CLOCK,
    OrderGatewayHarness,
    binance_orders,
    memory_orders,
    simulator_orders,
)
from tests.contract.signed_client import running_simulator

FAMILIES = (OrderFamily.SPOT_ORDER, OrderFamily.PERP_ORDER, OrderFamily.PERP_ALGO)


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    account = AccountConfig(spot_usdt=Decimal(1_000_000), fut_usdt=Decimal(1_000_000))
    config = SimulatorConfig(symbols=(BTC,), rate=0.001, account=account)
    async with running_simulator(config) as urls:
        yield urls


@pytest.fixture(params=["binance", "memory"])
async def orders(
    request: pytest.FixtureRequest, urls: dict[str, str]
) -> AsyncIterator[OrderGatewayHarness]:
    opened = simulator_orders(urls) if request.param == "binance" else memory_orders()
    async with opened as harness:
        yield harness


every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.value)


@every_family
async def test_an_order_is_placed_found_and_cancelled(
    orders: OrderGatewayHarness, family: OrderFamily
) -> None:
    gateway, request = orders.gateway, await orders.resting_order(family)
    ref = ref_of(request)
    placed = await gateway.send_order(await gateway.sign_order(request), no_obstacle)
    report = first(placed)
    assert (report.client_id, report.status) == (request.client_id, "NEW")

    by_id = OrderRef(
        family=family, symbol=BTC, client_id=ref.client_id, exchange_id=report.exchange_id
    )
    for each in (ref, by_id):
        found = first(await gateway.find(each))
        assert (found.client_id, found.exchange_id) == (ref.client_id, report.exchange_id)

    cancelled = await gateway.send_cancel(await gateway.sign_cancel(ref), no_obstacle)
    assert isinstance(cancelled, RequestAccepted)
    ended = first(await gateway.find(by_id))
    assert (ended.client_id, ended.status) == (ref.client_id, "CANCELED")
    again = await gateway.send_cancel(await gateway.sign_cancel(by_id), no_obstacle)
    assert isinstance(again, OrderNotFound)


@every_family
async def test_an_order_whose_reply_is_lost_is_unknown_and_can_be_found(
    orders: OrderGatewayHarness, family: OrderFamily
) -> None:
    gateway, request = orders.gateway, await orders.resting_order(family)
    await orders.execute_then_lose(family)
    reply = await gateway.send_order(await gateway.sign_order(request), no_obstacle)
    assert isinstance(reply, OutcomeUnknown)
    assert first(await gateway.find(ref_of(request))).status == "NEW"


@every_family
async def test_an_order_that_never_arrived_is_unknown_and_cannot_be_found(
    orders: OrderGatewayHarness, family: OrderFamily
) -> None:
    gateway, request = orders.gateway, await orders.resting_order(family)
    await orders.lose_before(family)
    reply = await gateway.send_order(await gateway.sign_order(request), no_obstacle)
    assert isinstance(reply, OutcomeUnknown)
    assert isinstance(await gateway.find(ref_of(request)), OrderNotFound)
    cancel = await gateway.send_cancel(await gateway.sign_cancel(ref_of(request)), no_obstacle)
    assert isinstance(cancel, OrderNotFound)


@every_family
async def test_an_obstacle_stops_an_order(orders: OrderGatewayHarness, family: OrderFamily) -> None:
    gateway, request = orders.gateway, await orders.resting_order(family)
    reply = await gateway.send_order(await gateway.sign_order(request), lambda: "too late")
    assert reply == RequestNotSent(cause="too late")
    assert isinstance(await gateway.find(ref_of(request)), OrderNotFound)


async def test_a_spot_market_order_names_its_trades_as_the_history_does(
    urls: dict[str, str],
) -> None:
    start_ms = CLOCK.now_ms()
    async with binance_orders(urls) as (gateway, account):
        body = Market(qty=Decimal("0.01"))
        request = SpotOrder(client_id="s1-market-1", symbol=BTC, side=Side.BUY, body=body)
        placed = await gateway.send_order(await gateway.sign_order(request), no_obstacle)
        order_id = first(placed).exchange_id
        of_order = await account.fills_of_order(Venue.SPOT, BTC, order_id)
        of_span = await account.fills(
            Venue.SPOT, BTC, start_ms=start_ms - 90_000_000, end_ms=CLOCK.now_ms() + 1_000
        )
        balances = {each.asset: each for each in await account.balances(Venue.SPOT)}
    assert isinstance(placed, RequestAccepted)
    said = {(each.key, each.qty, each.price, each.commission, each.maker) for each in placed.fills}
    assert said
    assert said == {
        (each.key, each.qty, each.price, each.commission, each.maker) for each in of_order
    }
    assert set(of_order) <= set(of_span)
    bought = sum(each.qty - (each.commission or 0) for each in placed.fills)
    assert balances["BTC"].free + balances["BTC"].locked >= bought


async def test_an_order_list_that_was_never_placed_is_not_found(urls: dict[str, str]) -> None:
    """With a code of its own; else its outcome would stay unknown for ever."""
    ref = OrderRef(family=OrderFamily.SPOT_LIST, symbol=BTC, client_id="s1-never")
    async with binance_orders(urls) as (gateway, _):
        assert isinstance(await gateway.find(ref), OrderNotFound)


async def test_an_order_list_is_placed_listed_found_and_cancelled(
    urls: dict[str, str],
) -> None:
    async with simulator_orders(urls) as harness:
        last = await harness.last(Venue.SPOT)
    async with binance_orders(urls) as (gateway, account):
        request = SpotOco(
            client_id="s1-list-1",
            symbol=BTC,
            side=Side.BUY,
            qty=Decimal("0.01"),
            take_profit=OcoTakeProfit(
                client_id="s1-list-1-tp", price=(last * Decimal("0.98")).quantize(Decimal(1))
            ),
            stop=OcoStop(
                client_id="s1-list-1-sl", trigger=(last * Decimal("1.02")).quantize(Decimal(1))
            ),
        )
        placed = await gateway.send_order(await gateway.sign_order(request), no_obstacle)
        assert isinstance(placed, RequestAccepted), placed
        opened = await account.open_orders(Venue.SPOT)
        found = await gateway.find(ref_of(request))
        cancelled = await gateway.send_cancel(
            await gateway.sign_cancel(ref_of(request)), no_obstacle
        )
        ended = await gateway.find(ref_of(request))
    ids = {"s1-list-1", "s1-list-1-tp", "s1-list-1-sl"}
    assert "s1-list-1" in {each.client_id for each in opened.lists}
    assert ids - {"s1-list-1"} <= {each.client_id for each in opened.orders}
    assert isinstance(found, OrderFound)
    assert {each.client_id for each in found.reports} == ids
    assert isinstance(cancelled, RequestAccepted), cancelled
    assert {each.client_id for each in cancelled.reports} == ids
    assert isinstance(ended, OrderFound)
    assert {each.status for each in ended.reports} == {"ALL_DONE", "CANCELED"}
    assert isinstance(ended.reports[0], OrderListReport)


async def test_a_post_only_order_that_would_take_is_refused(urls: dict[str, str]) -> None:
    async with simulator_orders(urls) as orders:
        price = (await orders.last(Venue.SPOT) * Decimal("1.02")).quantize(Decimal(1))
        body = LimitMaker(qty=Decimal("0.01"), price=price)
        request = SpotOrder(client_id="s1-maker-1", symbol=BTC, side=Side.BUY, body=body)
        signed = await orders.gateway.sign_order(request)
        refused = await orders.gateway.send_order(signed, no_obstacle)
    assert isinstance(refused, RequestRefused)
    assert (refused.reason, refused.code) == (RefusalReason.POST_ONLY, -2010)


async def test_a_futures_market_order_makes_a_position_and_trades(
    urls: dict[str, str],
) -> None:
    start_ms = CLOCK.now_ms()
    async with binance_orders(urls) as (gateway, account):
        order = PerpOrder(
            client_id="s1-market-1",
            symbol=BTC,
            side=Side.BUY,
            scope=OneWay(reduce_only=False),
            body=Market(qty=Decimal("0.01")),
        )
        placed = await gateway.send_order(await gateway.sign_order(order), no_obstacle)
        order_id = first(placed).exchange_id
        found = first(await gateway.find(ref_of(order)))
        of_order = await account.fills_of_order(Venue.PERP, BTC, order_id)
        of_span = await account.fills(
            Venue.PERP, BTC, start_ms=start_ms - 900_000_000, end_ms=CLOCK.now_ms() + 1_000
        )
        positions = {each.symbol: each for each in await account.positions()}
        balances = {each.asset for each in await account.balances(Venue.PERP)}
        configuration = await account.configuration((BTC,))
    assert (found.status, found.filled_qty) == ("FILLED", Decimal("0.01"))
    assert sum(each.qty for each in of_order) == Decimal("0.01")
    assert all(each.order_id == order_id and each.commission_asset for each in of_order)
    assert set(of_order) <= set(of_span)
    assert positions[BTC].position_side == "BOTH"
    assert positions[BTC].qty == Decimal("0.01")
    assert "USDT" in balances
    assert (configuration.hedge_mode, configuration.multi_assets) == (False, False)
    assert configuration.can_trade_spot
    assert configuration.can_trade_futures
    assert [each.symbol for each in configuration.symbols] == [BTC]


async def test_open_orders_on_futures_include_algo_orders(urls: dict[str, str]) -> None:
    async with simulator_orders(urls) as orders, binance_orders(urls) as (gateway, account):
        placed = [
            await orders.resting_order(family)
            for family in (OrderFamily.PERP_ORDER, OrderFamily.PERP_ALGO)
        ]
        for order in placed:
            await gateway.send_order(await gateway.sign_order(order), no_obstacle)
        opened = await account.open_orders(Venue.PERP)
        for order in placed:
            await gateway.send_cancel(await gateway.sign_cancel(ref_of(order)), no_obstacle)
    listed = {(each.family, each.client_id) for each in opened.orders}
    assert {(ref_of(order).family, order.client_id) for order in placed} <= listed


async def test_an_algo_id_is_unknown_among_normal_orders(urls: dict[str, str]) -> None:
    """Which does not say that it was rejected."""
    async with simulator_orders(urls) as orders:
        gateway, algo = orders.gateway, await orders.resting_order(OrderFamily.PERP_ALGO)
        await gateway.send_order(await gateway.sign_order(algo), no_obstacle)
        normal = OrderRef(family=OrderFamily.PERP_ORDER, symbol=BTC, client_id=algo.client_id)
        assert isinstance(await gateway.find(normal), OrderNotFound)
        assert first(await gateway.find(ref_of(algo))).status == "NEW"
        await gateway.send_cancel(await gateway.sign_cancel(ref_of(algo)), no_obstacle)


async def test_futures_refusals_have_their_reasons(urls: dict[str, str]) -> None:
    async with simulator_orders(urls) as orders:
        gateway = orders.gateway
        last = await orders.last(Venue.PERP)
        above = (last * Decimal("1.02")).quantize(Decimal(1))
        qty, opens = Decimal("0.01"), OneWay(reduce_only=False)
        taking = PerpOrder(
            client_id="s1-refused-1",
            symbol=BTC,
            side=Side.BUY,
            scope=opens,
            body=Limit(qty=qty, price=above, time_in_force=TimeInForce.GTX),
        )
        triggered = PerpAlgoOrder(
            client_id="s1-refused-2",
            symbol=BTC,
            side=Side.SELL,
            scope=opens,
            working_type=WorkingType.CONTRACT_PRICE,
            body=Stop(qty=qty, trigger=above),
        )
        for order, reason, code in (
            (taking, RefusalReason.POST_ONLY, -5022),
            (triggered, RefusalReason.WOULD_TRIGGER, -2021),
        ):
            refused = await gateway.send_order(await gateway.sign_order(order), no_obstacle)
            assert isinstance(refused, RequestRefused), refused
            assert (refused.reason, refused.code) == (reason, code)
            assert isinstance(await gateway.find(ref_of(order)), OrderNotFound)


def first(said: object) -> OrderReport:
    assert isinstance(said, RequestAccepted | OrderFound), said
    report = said.reports[0]
    assert isinstance(report, OrderReport)
    return report
