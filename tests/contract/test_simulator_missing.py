"""What Binance has and the simulator has not is said: on standard error and in the status."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from chimera_s1.adapters.simulator.not_simulated import NAMES_MAX
from tests.processes import chimera_process
from tests.simulator_client import SimulatorClient, simulator_client

SILENT = "acknowledged, never delivered"


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[SimulatorClient]:
    with (tmp_path / "stderr").open("wb") as stderr:
        simulate = chimera_process("simulate", "--json", "--symbols", "1", stderr=stderr)
        async with simulate as process, simulator_client(process.ready) as client:
            yield client


async def get(sim: SimulatorClient, venue: str, path: str, method: str = "GET") -> tuple[int, str]:
    url = sim.urls[f"{venue}_rest_url"] + path
    async with sim.session.request(method, url) as response:
        return response.status, await response.text()


async def asked(sim: SimulatorClient) -> dict[str, Any]:
    _, status = await sim.control("GET", "/sim/status")
    return dict(status["not_simulated"])


async def test_missing_requests_and_streams_are_listed_with_their_counts(
    sim: SimulatorClient, tmp_path: Path
) -> None:
    klines = "/api/v3/uiKlines?symbol=BTCUSDT&interval=1m"
    replies = [await get(sim, "spot", klines) for _ in range(2)]
    replies.append(await get(sim, "perp", "/fapi/v1/batchOrders", "POST"))
    replies.append(await get(sim, "spot", "/sapi/v1/system/status", "DELETE"))
    streams = ["btcusdt@kline_1m", "btcusdt@markPrice", "nopeusdt@bookTicker", "BTCUSDT@trade"]
    async with sim.connect("perp", "/public/ws") as wire:
        acknowledged, _ = await wire.request("SUBSCRIBE", streams)
        again, _ = await wire.request("SUBSCRIBE", streams)
    with pytest.raises(WSServerHandshakeError):
        async with sim.connect("spot", "/ws-api/v1?apiKey=secret"):
            pass

    shown = await asked(sim)

    assert [status for status, _ in replies] == [404, 404, 404, 405]
    assert "The simulator does not have GET /api/v3/uiKlines" in replies[0][1]
    assert (acknowledged["result"], again["result"]) == (None, None)
    counts = Counter({(row["venue"], row["name"]): row["count"] for row in shown["asked"]})
    assert counts == {
        ("spot", "GET /api/v3/uiKlines"): 2,
        ("perp", "POST /fapi/v1/batchOrders"): 1,
        ("spot", "DELETE /sapi/v1/system/status"): 1,
        ("perp", "btcusdt@kline_1m"): 1,
        ("perp", "btcusdt@markPrice"): 1,
        ("perp", "nopeusdt@bookTicker"): 1,
        ("perp", "BTCUSDT@trade"): 1,
        ("spot", "/ws-api/v1"): 1,
    }
    replies_by_name = {row["name"]: row["reply"] for row in shown["asked"]}
    assert replies_by_name["GET /api/v3/uiKlines"] == "answered 404"
    assert replies_by_name["btcusdt@kline_1m"].startswith("Binance has this stream")
    assert replies_by_name["btcusdt@markPrice"].startswith("delivered under /market only")
    assert replies_by_name["nopeusdt@bookTicker"].startswith("NOPEUSDT is not listed")
    assert replies_by_name["BTCUSDT@trade"].startswith("no such stream at Binance")
    lines = (tmp_path / "stderr").read_text().splitlines()
    assert len([line for line in lines if line.startswith("not simulated: ")]) == len(counts)
    assert "not simulated: spot: request GET /api/v3/uiKlines: answered 404" in lines
    assert "secret" not in str(shown) + str(lines)


async def test_the_list_is_bounded_and_printable(sim: SimulatorClient, tmp_path: Path) -> None:
    await get(sim, "spot", "/api/v3/%1B%5B2Jx%0Aerror")
    streams = [f"btcusdt@nope{number}" for number in range(NAMES_MAX + 10)]
    async with sim.connect("spot", "/ws") as wire:
        await wire.request("SUBSCRIBE", streams)

    shown = await asked(sim)

    assert len(shown["asked"]) == NAMES_MAX
    assert shown["unlisted"] == 11
    assert "GET /api/v3/?[2Jx?error" in {row["name"] for row in shown["asked"]}
    log = (tmp_path / "stderr").read_text()
    assert "\x1b" not in log
    assert log.count("\n") == NAMES_MAX + 1


async def test_what_is_simulated_is_not_listed(sim: SimulatorClient) -> None:
    await get(sim, "spot", "/api/v3/ticker/24hr")
    await get(sim, "perp", "/dapi/v1/exchangeInfo")
    async with sim.connect(
        "perp", "/market/stream?streams=!markPrice@arr/btcusdt@aggTrade"
    ) as wire:
        await wire.request("SET_PROPERTY", ["combined", False])

    assert await asked(sim) == {"asked": [], "unlisted": 0}
