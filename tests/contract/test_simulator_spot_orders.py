"""Spot orders of the simulator: Binance's own SDK and ccxt place, query and cancel each kind, with
nothing changed but addresses and key; its user stream sends what happened.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from decimal import Decimal
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest
from binance_common.configuration import ConfigurationRestAPI

from chimera_s1.adapters.binance.user_stream.event_reading import read_event
from chimera_s1.adapters.binance.user_stream.spot_events import SPOT_EVENTS
from tests.ccxt_clients import point_at_simulator
from tests.contract.binance_sdks import spot_sdk
from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.spot_user_stream import Message, UserStream, subscribed
from tests.time_limits import TIMEOUT_S

SYMBOL, PAIR, QTY = "BTCUSDT", "BTC/USDT", 0.01
RESTING: dict[str, dict[str, str | float]] = {
    "LIMIT": {"price": 0.9, "time_in_force": "GTC"},
    "LIMIT_MAKER": {"price": 0.9},
    "STOP_LOSS": {"stop_price": 1.1},
    "STOP_LOSS_LIMIT": {"stop_price": 1.1, "price": 1.2, "time_in_force": "GTC"},
    "TAKE_PROFIT": {"stop_price": 0.9},
    "TAKE_PROFIT_LIMIT": {"stop_price": 0.9, "price": 0.95, "time_in_force": "GTC"},
}
"""Buy orders that wait; prices are parts of the last price."""

REPORT_KEYS = list("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV")


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    options = ("--symbols", "BTCUSDT,ETHUSDT", "--spot-usdt", "1000000", "--rate", "0.1")
    async with simulator_process(*options) as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("DELETE", "/sim/faults")


@pytest.fixture
async def last(sim: SimulatorClient) -> Decimal:
    _, body, _ = await sim.rest("spot", f"/api/v3/ticker/price?symbol={SYMBOL}")
    return Decimal(body["price"])


@pytest.fixture
def sdk(urls: dict[str, str]) -> Callable[..., Any]:
    rest = spot_sdk(
        config_rest_api=ConfigurationRestAPI(
            api_key=urls["api_key"], api_secret=urls["api_secret"], base_path=urls["spot_rest_url"]
        )
    ).rest_api

    async def call(method: str, **parameters: Any) -> Any:
        """The parsed reply; the SDK's methods block, hence the thread."""
        with anyio.fail_after(TIMEOUT_S):
            called = getattr(rest, method)
            return (await anyio.to_thread.run_sync(lambda: called(**parameters))).data()

    return call


def times(last: Decimal, factor: float) -> float:
    """A price on the tick."""
    return float(round(last * Decimal(str(factor)), 0))


def prices(last: Decimal, kind: str) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str) else times(last, value)
        for name, value in RESTING[kind].items()
    }


async def events_until(stream: UserStream, done: Callable[[Message], bool]) -> list[Message]:
    """The events up to and with the first that is *done*; the service can read each."""
    events: list[Message] = []
    while not events or not done(events[-1]):
        events.append((await stream.receive())["event"])
        read = read_event(orjson.dumps(events[-1]), SPOT_EVENTS)
        assert (read.known, read.problem) == (True, "")
    return events


def reports(events: Sequence[Message]) -> list[Message]:
    return [each for each in events if each["e"] == "executionReport"]


def is_end_of(order_id: int) -> Callable[[Message], bool]:
    """The last report of an order that never was executed is its cancel."""
    return lambda event: event.get("i") == order_id and event["x"] == "CANCELED"


async def test_the_sdk_places_queries_and_cancels_orders_that_wait(
    sdk: Callable[..., Any], sim: SimulatorClient, urls: dict[str, str], last: Decimal
) -> None:
    async with subscribed(sim, urls) as stream:
        for kind in RESTING:
            named = f"sdk-{kind}"
            placed = await sdk(
                "new_order", symbol=SYMBOL, side="BUY", type=kind, quantity=QTY,
                new_client_order_id=named, **prices(last, kind),
            )  # fmt: skip
            found = await sdk("get_order", symbol=SYMBOL, orig_client_order_id=named)
            waiting = await sdk("get_open_orders", symbol=SYMBOL)
            ended = await sdk("delete_order", symbol=SYMBOL, order_id=placed.order_id)
            events = await events_until(stream, is_end_of(placed.order_id))

            works = kind.startswith("LIMIT")
            assert (placed.status is None) == (kind != "LIMIT")
            assert (found.order_id, found.status, found.type) == (placed.order_id, "NEW", kind)
            assert (found.is_working, found.working_time > 0) == (works, works)
            assert [each.order_id for each in waiting] == [placed.order_id]
            assert (ended.status, ended.orig_client_order_id) == ("CANCELED", named)
            new, cancel = reports(events)
            assert ("W" in new, new["w"]) == (works, works)
            assert list(new) == [key for key in REPORT_KEYS if works or key != "W"]
            assert (new["x"], new["X"], new["c"], new["C"]) == ("NEW", "NEW", named, "")
            assert (cancel["X"], cancel["C"]) == ("CANCELED", named)
            assert cancel["c"] == ended.client_order_id
            assert (new["N"], new["t"], new["g"], new["r"]) == (None, -1, -1, "NONE")
            assert cancel["I"] > new["I"]


async def test_the_sdk_places_orders_that_are_executed_at_once(
    sdk: Callable[..., Any], sim: SimulatorClient, urls: dict[str, str], last: Decimal
) -> None:
    high, low = times(last, 1.01), times(last, 0.99)
    kinds: dict[str, tuple[dict[str, Any], str]] = {
        "MARKET": ({"quantity": QTY}, "FILLED"),
        "MARKET by quote": ({"quote_order_qty": 500.0}, "FILLED"),
        "LIMIT IOC": ({"quantity": QTY, "price": high, "time_in_force": "IOC"}, "FILLED"),
        "LIMIT FOK": ({"quantity": QTY, "price": high, "time_in_force": "FOK"}, "FILLED"),
        "LIMIT IOC away": ({"quantity": QTY, "price": low, "time_in_force": "IOC"}, "EXPIRED"),
        "LIMIT FOK away": ({"quantity": QTY, "price": low, "time_in_force": "FOK"}, "EXPIRED"),
    }
    async with subscribed(sim, urls) as stream:
        for kind, (sent, status) in kinds.items():
            placed = await sdk(
                "new_order", symbol=SYMBOL, side="BUY", type=kind.partition(" ")[0], **sent
            )
            trades = await sdk("my_trades", symbol=SYMBOL, order_id=placed.order_id)
            found = await sdk("get_order", symbol=SYMBOL, order_id=placed.order_id)
            events = await events_until(
                stream, lambda event: event.get("X") in {"FILLED", "EXPIRED"}
            )
            if status == "FILLED":
                balances = (await stream.receive())["event"]

            assert (placed.status, found.status) == (status, status)
            filled = [(each.trade_id, each.qty, each.commission) for each in placed.fills]
            assert filled == [(each.id, each.qty, each.commission) for each in trades]
            executed = [each for each in reports(events) if each["x"] == "TRADE"]
            assert filled == [(each["t"], each["l"], each["n"]) for each in executed]
            assert sum(Decimal(each[1]) for each in filled) == Decimal(placed.executed_qty)
            if status == "EXPIRED":
                assert events[-1]["eR"] == found.expiry_reason == (
                    f"UNFILLED_{kind.split()[1]}_" + ("QUANTITY" if "IOC" in kind else "ORDER")
                    + "_EXPIRED"
                )  # fmt: skip
                continue
            assert {each["N"] for each in executed} == {"BTC"}
            assert list(balances) == ["e", "E", "u", "B"]
            assert balances["e"] == "outboundAccountPosition"
            held = {each.asset: each.free for each in (await sdk("get_account")).balances}
            assert {each["a"]: each["f"] for each in balances["B"]} == held


async def test_the_sdk_places_queries_and_cancels_an_oco(
    sdk: Callable[..., Any], sim: SimulatorClient, urls: dict[str, str], last: Decimal
) -> None:
    await sdk("new_order", symbol=SYMBOL, side="BUY", type="MARKET", quantity=2 * QTY)
    async with subscribed(sim, urls) as stream:
        placed = await sdk(
            "order_list_oco", symbol=SYMBOL, side="SELL", quantity=QTY,
            above_type="LIMIT_MAKER", above_price=times(last, 1.1),
            below_type="STOP_LOSS", below_stop_price=times(last, 0.9),
            list_client_order_id="oco-1", above_client_order_id="oco-1-tp",
            below_client_order_id="oco-1-sl",
        )  # fmt: skip
        found = await sdk("get_order_list", orig_client_order_id="oco-1")
        waiting = await sdk("open_order_list")
        ended = await sdk("delete_order_list", symbol=SYMBOL, list_client_order_id="oco-1")
        every = await sdk("all_order_list")
        events = await events_until(stream, lambda event: event.get("L") == "ALL_DONE")

    assert (placed.contingency_type, placed.list_order_status) == ("OCO", "EXECUTING")
    assert [(each.client_order_id, each.working_time > 0) for each in placed.order_reports] == [
        ("oco-1-sl", False),
        ("oco-1-tp", True),
    ]
    assert found.order_list_id == placed.order_list_id
    assert [each.order_list_id for each in waiting] == [placed.order_list_id]
    assert (ended.list_status_type, ended.list_order_status) == ("ALL_DONE", "ALL_DONE")
    assert {each.status for each in ended.order_reports} == {"CANCELED"}
    assert every[-1].list_order_status == "ALL_DONE"
    lists = [each for each in events if each["e"] == "listStatus"]
    assert [(each["l"], each["L"]) for each in lists] == [
        ("EXEC_STARTED", "EXECUTING"),
        ("ALL_DONE", "ALL_DONE"),
    ]
    assert list(lists[0]) == ["e", "E", "s", "g", "c", "l", "L", "r", "C", "T", "O"]
    assert [each["c"] for each in lists[0]["O"]] == ["oco-1-sl", "oco-1-tp"]
    assert Counter((each["x"], each["g"]) for each in reports(events)) == {
        ("NEW", placed.order_list_id): 2,
        ("CANCELED", placed.order_list_id): 2,
    }


async def test_a_leg_that_is_executed_expires_the_other(
    sdk: Callable[..., Any], sim: SimulatorClient, urls: dict[str, str]
) -> None:
    await sdk("new_order", symbol="ETHUSDT", side="BUY", type="MARKET", quantity=2.0)
    _, ticker, _ = await sim.rest("spot", "/api/v3/ticker/price?symbol=ETHUSDT")
    eth = Decimal(ticker["price"])
    async with subscribed(sim, urls) as stream:
        placed = await sdk(
            "order_list_oco", symbol="ETHUSDT", side="SELL", quantity=1.0,
            above_type="LIMIT_MAKER", above_price=times(eth, 1.05),
            below_type="STOP_LOSS", below_stop_price=times(eth, 0.95),
        )  # fmt: skip
        await sim.control(
            "POST",
            "/sim/price",
            {"venue": "spot", "symbol": "ETHUSDT", "price": str(round(eth * Decimal("0.9"), 2))},
        )
        events = await events_until(stream, lambda event: event.get("L") == "ALL_DONE")
        legs = [
            await sdk("get_order", symbol="ETHUSDT", order_id=each.order_id)
            for each in placed.orders
        ]

    assert [(each.type, each.status) for each in legs] == [
        ("STOP_LOSS", "FILLED"),
        ("LIMIT_MAKER", "EXPIRED"),
    ]
    assert legs[1].expiry_reason == "OCO_TRIGGER"
    ends = [(each["o"], each["X"]) for each in reports(events) if each["X"] != "NEW"]
    assert ends[0] == ("LIMIT_MAKER", "EXPIRED")
    assert ends[-1] == ("STOP_LOSS", "FILLED")


async def test_ccxt_places_queries_and_cancels_each_kind(
    urls: dict[str, str], last: Decimal
) -> None:
    key = {"apiKey": urls["api_key"], "secret": urls["api_secret"], "enableRateLimit": False}
    client = point_at_simulator(import_module("ccxt.async_support").binance(key), urls)
    async with aclosing(_Closing(client)):
        for kind in RESTING:
            named = {"price": None, "stop_price": None, "time_in_force": None} | prices(last, kind)
            extra = {"stopPrice": named["stop_price"]} if named["stop_price"] else {}
            placed = await client.create_order(PAIR, kind, "buy", QTY, named["price"], extra)
            found = await client.fetch_order(placed["id"], PAIR)
            waiting = await client.fetch_open_orders(PAIR)
            ended = await client.cancel_order(placed["id"], PAIR)

            assert (found["status"], found["info"]["type"]) == ("open", kind)
            assert [each["id"] for each in waiting] == [placed["id"]]
            assert ended["status"] == "canceled"
        bought = [
            await client.create_order(PAIR, "market", "buy", QTY),
            await client.create_market_buy_order_with_cost(PAIR, 500),
            await client.create_order(
                PAIR, "limit", "buy", QTY, times(last, 1.01), {"timeInForce": "IOC"}
            ),
            await client.create_order(
                PAIR, "limit", "buy", QTY, times(last, 1.01), {"timeInForce": "FOK"}
            ),
        ]
        trades = await client.fetch_my_trades(PAIR)
        history = await client.fetch_orders(PAIR)
        balance = await client.fetch_balance()
        oco = await client.private_post_orderlist_oco(
            {
                "symbol": SYMBOL, "side": "SELL", "quantity": str(QTY),
                "aboveType": "TAKE_PROFIT_LIMIT", "aboveStopPrice": str(times(last, 1.1)),
                "abovePrice": str(times(last, 1.1)), "aboveTimeInForce": "GTC",
                "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": str(times(last, 0.9)),
                "belowPrice": str(times(last, 0.89)), "belowTimeInForce": "GTC",
            }
        )  # fmt: skip
        ended = await client.cancel_all_orders(PAIR)

    assert {each["status"] for each in bought} == {"closed"}
    assert {each["id"] for each in bought} <= {each["order"] for each in trades}
    assert {each["id"] for each in bought} <= {each["id"] for each in history}
    assert balance["BTC"]["free"] > 0
    assert len(oco["orderReports"]) == 2
    assert len(ended) == 1


class _Closing:
    """A ccxt client, with the name that `aclosing` calls."""

    def __init__(self, client: Any) -> None:
        self.aclose = client.close
