"""Faults of the clock, the market and whole venues, and scenarios, as a client sees them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from tests.processes import finished, simulator_process
from tests.simulator_client import (
    SimulatorClient,
    simulator_client,
)
from tests.time_limits import TIMEOUT_S

TIME = "/fapi/v1/time"
BTC, ETH = "btcusdt@bookTicker", "ethusdt@bookTicker"


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--rate", "500") as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("DELETE", "/sim/faults")
        await client.control("DELETE", "/sim/scenario")


async def status(sim: SimulatorClient) -> Any:
    return (await sim.control("GET", "/sim/status"))[1]


async def test_a_clock_offset_ends_with_its_fault(sim: SimulatorClient) -> None:
    before = (await status(sim))["clock"]["offset_ms"]
    await sim.arm("clock", "offset:2000")
    with anyio.fail_after(TIMEOUT_S):
        while (await status(sim))["clock"]["offset_ms"] - before != 2000:
            await sim.rest("perp", TIME)
    assert await sim.fired() == [1]
    await sim.control("DELETE", "/sim/faults")
    with anyio.fail_after(TIMEOUT_S):
        while (await status(sim))["clock"]["offset_ms"] != before:
            await sim.rest("perp", TIME)


async def test_a_clock_drift_grows_and_ends_with_its_fault(sim: SimulatorClient) -> None:
    await sim.arm("clock", "drift:500")
    wrong = [0]
    with anyio.fail_after(TIMEOUT_S):
        while len(wrong) < 4:
            offset_ms = (await status(sim))["clock"]["offset_ms"]
            if offset_ms > wrong[-1] + 10:
                wrong.append(offset_ms)
            await sim.rest("perp", TIME)
    await sim.control("DELETE", "/sim/faults")
    with anyio.fail_after(TIMEOUT_S):
        while (await status(sim))["clock"]["offset_ms"]:
            await sim.rest("perp", TIME)


async def test_a_drift_can_be_set_on_the_clock(sim: SimulatorClient) -> None:
    _, clock = await sim.control("POST", "/sim/clock", {"drift_ms_per_s": 25})
    assert (clock["rate"], clock["drift_ms_per_s"]) == (1.025, 25)
    _, clock = await sim.control("POST", "/sim/clock", {"rate": 1, "offset_ms": 0})
    assert (clock["drift_ms_per_s"], clock["offset_ms"]) == (0, 0)


async def test_a_delisted_symbol_is_unknown_and_silent_until_it_trades_again(
    sim: SimulatorClient,
) -> None:
    """Gone from the listing, -1121 from REST, no frame; the control plane still finds it."""
    depth, listing = "/api/v3/depth?symbol=BTCUSDT", "/api/v3/exchangeInfo"
    path = "/sim/symbols/spot/BTCUSDT"
    async with sim.connect("spot", "/stream?streams=" + BTC) as wire:
        last = (await wire.receive_message())["data"]["u"]
        await sim.control("POST", path, {"status": None})
        refused = (await sim.rest("spot", depth))[1]
        listed = (await sim.rest("spot", listing))[1]["symbols"]
        await sim.control("POST", path, {"status": "BREAK"})
        halted = (await sim.rest("spot", listing + "?symbol=BTCUSDT"))[1]["symbols"]
        book = (await sim.rest("spot", depth))[1]
        await sim.control("POST", path, {"status": "TRADING"})
        while (await wire.receive_message())["data"]["u"] <= book["lastUpdateId"]:
            pass

    assert refused["code"] == -1121
    assert "BTCUSDT" not in {row["symbol"] for row in listed}
    assert [row["status"] for row in halted] == ["BREAK"]
    assert book["lastUpdateId"] >= last


async def test_a_storm_replaces_the_rate_while_it_lasts(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/stream?streams=" + BTC) as wire:
        _, answer = await sim.control("POST", "/sim/rate", {"rate": 400})
        await sim.arm("market", "storm:50000")
        first = (await wire.receive_message())["data"]["u"]
        with anyio.fail_after(TIMEOUT_S):
            while (await status(sim))["rate"] != 50_000:
                await wire.receive_message()
        await sim.control("DELETE", "/sim/faults")
        with anyio.fail_after(TIMEOUT_S):
            while (await status(sim))["rate"] != 400:
                await wire.receive_message()
        assert (await wire.receive_message())["data"]["u"] > first

    assert answer == {"rate": 400}


async def test_every_request_of_a_venue_fails(sim: SimulatorClient) -> None:
    await sim.arm("rest:perp", "drop-before", times=2)

    for path in (TIME, "/fapi/v1/ping"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await sim.rest("perp", path)
    assert (await sim.rest("spot", "/api/v3/time"))[0] == 200
    assert (await sim.rest("perp", TIME))[0] == 200
    assert await sim.fired() == [2]


async def test_a_single_fault_is_cleared_and_shows_when_it_fired(sim: SimulatorClient) -> None:
    await sim.arm(f"GET {TIME}", "status:503")
    await sim.arm("GET /fapi/v1/ping", "status:503")
    async with sim.session.get(sim.urls["perp_rest_url"] + TIME):
        pass
    _, answer = await sim.control("GET", "/sim/faults")
    fired, waiting = answer["faults"]

    assert fired["first_fired_ms"] == fired["last_fired_ms"] > 0
    assert (waiting["first_fired_ms"], waiting["live"]) == (None, True)
    _, cleared = await sim.control("DELETE", f"/sim/faults/{fired['id']}")
    assert cleared == {"cleared": 1}
    _, answer = await sim.control("GET", "/sim/faults")
    assert answer["faults"] == [waiting]


async def test_a_scenario_is_played_on_a_running_simulator(sim: SimulatorClient) -> None:
    toml = b"""
        name = "one after the other"
        [[step]]
        at_s = 0.05
        on = "ws:spot"
        do = "close:1012"
        [[step]]
        on = "ws:perp"
        do = "disconnect"
    """
    async with (
        sim.connect("spot", "/ws/" + BTC) as spot,
        sim.connect("perp", "/public/ws/" + BTC) as perp,
    ):
        code, begun = await sim.control("POST", "/sim/scenario", toml)
        assert await perp.close_code() == 1006
        assert await spot.close_code() == 1012
    _, ended = await sim.control("GET", "/sim/scenario")

    assert (code, begun["scenario"]) == (201, "one after the other")
    assert ended["over"]
    assert [(step["on"], step["armed"]) for step in ended["steps"]] == [
        ("ws:perp", True),
        ("ws:spot", True),
    ]
    assert await sim.fired() == [1, 1]


async def test_a_second_scenario_is_refused_until_the_first_is_stopped(
    sim: SimulatorClient,
) -> None:
    later = b'[[step]]\nat_s = 3600\non = "ws:spot"\ndo = "disconnect"'
    assert (await sim.control("POST", "/sim/scenario", later))[0] == 201

    code, answer = await sim.control("POST", "/sim/scenario", later)

    assert (code, answer["error"]) == (
        400,
        "a scenario is playing; DELETE /sim/scenario first",
    )
    assert (await sim.control("DELETE", "/sim/scenario"))[1] == {"left_out": 1}
    assert (await sim.control("GET", "/sim/scenario"))[1]["over"]


async def test_a_scenario_file_starts_with_the_first_subscription(tmp_path: Path) -> None:
    path = tmp_path / "morning.toml"
    path.write_text('[[step]]\non = "ws:spot"\ndo = "close:1013"\n')
    async with (
        simulator_process("--scenario", str(path)) as process,
        simulator_client(process.ready) as sim,
    ):
        assert (await sim.control("GET", "/sim/scenario"))[1] == {"scenario": None}
        async with sim.connect("spot", "/ws/" + BTC) as wire:
            assert await wire.close_code() == 1013
        assert await sim.fired() == [1]


async def test_an_invalid_scenario_file_gives_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "morning.toml"
    path.write_text('[[step]]\non = "ws:spot"\ndo = "explode"\n')

    code, out, err = await finished("simulate", "--scenario", str(path))

    assert (code, out) == (2, "")
    assert f"--scenario: {path}: scenario: step 1: do: 'explode' cannot act on" in err
    assert len(err.strip().splitlines()) == 1


async def test_the_control_plane_shows_every_book_of_a_symbol(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/" + ETH) as wire:
        seen = [await wire.receive_message() for _ in range(5)]
    _, answer = await sim.control("GET", "/sim/books/spot/ethusdt")

    books = [tuple(book) for book in answer["books"]]
    assert {(each["b"], each["B"], each["a"], each["A"]) for each in seen} <= set(books)
    assert len(books) == 256
    assert (await sim.control("GET", "/sim/books/spot/NOPE"))[0] == 404
