"""Orders placed through the simulator's control plane, as if from the web site."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chimera_s1.adapters.simulator.config import SimulatorConfig
from tests.contract.signed_client import running_simulator
from tests.simulator_client import SimulatorClient, simulator_client

PATH = 256


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    config = SimulatorConfig(symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT"), rate=20_000)
    async with running_simulator(config) as urls:
        yield urls


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    """With the matching as at the start, and coins to sell."""
    async with simulator_client(urls) as client:
        await client.control("POST", "/sim/matching", {"query_lag_ms": 0, "liquidity": "1"})
        for asset in ("BTC", "ETH"):
            await client.control(
                "POST", "/sim/assets", {"venue": "spot", "asset": asset, "free": "1"}
            )
        yield client


async def place(sim: SimulatorClient, side: str, kind: str, **fields: str) -> dict[str, Any]:
    body = {"venue": "spot", "symbol": "BTCUSDT", "side": side, "type": kind, **fields}
    status, reply = await sim.control("POST", "/sim/orders", body)
    assert status == 201, reply
    (order,) = reply["orders"]
    return dict(order)


async def move(sim: SimulatorClient, **to: str) -> float:
    """The last price after the move."""
    status, reply = await sim.control(
        "POST", "/sim/price", {"venue": "spot", "symbol": "BTCUSDT", **to}
    )
    assert status == 200, reply
    return float(reply["price"])


async def orders(sim: SimulatorClient) -> dict[str, dict[str, Any]]:
    """By client id, every order ever placed."""
    _, reply = await sim.control("GET", "/sim/orders")
    return {order["client_id"]: order for order in reply["orders"]}


async def test_a_moved_price_triggers_the_stop_of_an_oco(sim: SimulatorClient) -> None:
    last = await move(sim, move_bps="0")
    body = {
        "venue": "spot",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "qty": "0.01",
        "client_id": "oco",
        "above": {"type": "LIMIT_MAKER", "client_id": "tp", "price": f"{last * 1.01:.2f}"},
        "below": {"type": "STOP_LOSS", "client_id": "sl", "stop_price": f"{last * 0.99:.2f}"},
    }
    status, placed = await sim.control("POST", "/sim/orders", body)
    fallen = await move(sim, price=f"{last * 0.985:.2f}")

    assert (status, [order["status"] for order in placed["orders"]]) == (201, ["NEW", "NEW"])
    assert fallen == float(f"{last * 0.985:.2f}")
    found = await orders(sim)
    stop, profit = found["sl"], found["tp"]
    assert stop == stop | {
        "venue": "spot",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_LOSS",
        "status": "FILLED",
        "qty": "0.01",
        "filled_qty": "0.01",
        "algo": False,
        "origin": "other",
    }
    assert (profit["status"], profit["reason"]) == ("EXPIRED", "OCO_TRIGGER")
    _, reply = await sim.control("GET", "/sim/trades")
    (trade,) = [each for each in reply["trades"] if each["client_id"] == "sl"]
    assert float(trade["price"]) < last * 0.986


async def test_a_resting_order_fills_on_a_symbol_without_subscriptions(
    sim: SimulatorClient,
) -> None:
    """Every update of the watched symbol comes with one of the symbol of the order."""
    await sim.control("POST", "/sim/matching", {"liquidity": "0"})
    order = await place(
        sim, "SELL", "LIMIT", symbol="ETHUSDT", qty="0.01", price="3512", time_in_force="GTC"
    )
    async with sim.connect("spot", "/ws/bnbusdt@bookTicker") as wire:
        await sim.control("POST", "/sim/matching", {"liquidity": "1"})
        for _ in range(2 * PATH):
            await wire.receive_message()

    assert order["status"] == "NEW"
    assert (await orders(sim))[order["client_id"]]["status"] == "FILLED"


async def test_a_moved_price_triggers_the_stop_of_a_futures_position(
    sim: SimulatorClient,
) -> None:
    perp = {"venue": "perp", "symbol": "BTCUSDT"}
    opened, _ = await sim.control(
        "POST", "/sim/orders", perp | {"side": "BUY", "type": "MARKET", "qty": "0.01"}
    )
    _, held = await sim.control("GET", "/sim/positions")
    stop = {"type": "STOP_MARKET", "stop_price": "67000", "reduce_only": True, "client_id": "s"}
    placed, reply = await sim.control(
        "POST", "/sim/orders", perp | {"side": "SELL", "qty": "0.01"} | stop
    )
    await sim.control("POST", "/sim/price", perp | {"price": "66990"})
    _, left = await sim.control("GET", "/sim/positions")
    _, listed = await sim.control("GET", "/sim/orders")

    assert (opened, placed) == (201, 201), reply
    (position,) = held["positions"]
    assert position == position | {"symbol": "BTCUSDT", "side": "BOTH", "qty": "0.01"}
    assert left == {"positions": []}
    (algo,) = [each for each in listed["orders"] if each["algo"]]
    (child,) = [each for each in listed["orders"] if each.get("algo_id") == algo["order_id"]]
    assert (algo["status"], algo["filled_qty"]) == ("FINISHED", "0.01")
    assert child["order_id"] == algo["child_id"]
    assert (child["venue"], child["status"], child["reduce_only"]) == ("perp", "FILLED", True)


async def test_an_order_is_canceled_once(sim: SimulatorClient) -> None:
    await place(sim, "BUY", "LIMIT", qty="0.01", price="30000", time_in_force="GTC", client_id="c")
    body = {"venue": "spot", "symbol": "BTCUSDT", "client_id": "c"}
    first = await sim.control("POST", "/sim/orders/cancel", body)
    second = await sim.control("POST", "/sim/orders/cancel", body)
    _, assets = await sim.control("GET", "/sim/assets")

    assert (first[0], first[1]["status"]) == (200, "CANCELED")
    assert second == (400, {"error": "refused as Binance would: -2011 Unknown order sent."})
    assert assets["spot"]["USDT"]["locked"] == "0"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("orders", {"venue": "spot", "symbol": "BTCUSDT", "side": "BUY"}, 400, "type is missing"),
        ("orders", {"venue": "spot", "symbol": "X", "side": "BUY", "type": "LIMIT"}, 400, "-1102"),
        ("price", {"venue": "spot", "symbol": "BTCUSDT"}, 400, "price or move_bps"),
        ("price", {"venue": "spot", "symbol": "X", "price": "1"}, 404, "not listed"),
        ("price", {"venue": "spot", "symbol": "BTCUSDT", "price": "0.5"}, 400, "higher price"),
        ("price", {"venue": "spot", "symbol": "BTCUSDT", "price": "NaN"}, 400, "price"),
        ("matching", {"liquidity": "2"}, 400, "write 0 to 1"),
        ("assets", {"venue": "spot", "asset": "BTC", "free": "-1"}, 400, "write 0 or more"),
    ],
)
async def test_a_wrong_request_says_what_to_write(
    sim: SimulatorClient, path: str, body: Any, status: int, words: str
) -> None:
    answer, reply = await sim.control("POST", f"/sim/{path}", body)

    assert (answer, words in reply["error"]) == (status, True), reply


async def test_price_moves_leave_no_book_out() -> None:
    """The books move in turn, also when one of them is changed before the others had theirs."""
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    names = "/".join(f"{symbol.lower()}@bookTicker" for symbol in symbols)
    seen: set[str] = set()
    async with (
        running_simulator(SimulatorConfig(symbols=symbols, rate=50)) as urls,
        simulator_client(urls) as sim,
        sim.connect("spot", f"/stream?streams={names}") as stream,
    ):
        while len(seen) < len(symbols):
            body = {"venue": "spot", "symbol": "BTCUSDT", "move_bps": 1}
            await sim.control("POST", "/sim/price", body)
            seen.add((await stream.receive_message())["stream"])
