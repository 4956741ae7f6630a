"""Faults of requests, frames and connections fire, and the control plane counts them."""

from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client

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


@pytest.mark.parametrize("do", ["drop-before", "execute-then-drop"])
async def test_a_dropped_request_has_no_reply(sim: SimulatorClient, do: str) -> None:
    await sim.arm(f"GET {TIME}", do)

    with pytest.raises(aiohttp.ClientConnectionError):
        await sim.rest("perp", TIME)

    status, _, _ = await sim.rest("perp", TIME)
    assert status == 200
    assert await sim.fired() == [1]


async def test_only_execute_then_drop_executes(sim: SimulatorClient) -> None:
    """The weight used shows whether the request reached its endpoint."""
    used = []
    for do in ("drop-before", "execute-then-drop"):
        await sim.arm("GET /fapi/v1/ping", do)
        _, _, before = await sim.rest("perp", TIME)
        with pytest.raises(aiohttp.ClientConnectionError):
            await sim.rest("perp", "/fapi/v1/ping")
        _, _, after = await sim.rest("perp", TIME)
        used.append(int(after["X-MBX-USED-WEIGHT-1M"]) - int(before["X-MBX-USED-WEIGHT-1M"]))

    assert used == [1, 2]


async def test_a_delayed_request_is_answered(sim: SimulatorClient) -> None:
    await sim.arm(f"GET {TIME}", "delay:50")

    status, body, _ = await sim.rest("perp", TIME)

    assert (status, list(body)) == (200, ["serverTime"])
    assert await sim.fired() == [1]


@pytest.mark.parametrize("do", ["delay:600000", "execute-then-delay:600000"])
async def test_the_delay_of_a_request_is_exchange_time(sim: SimulatorClient, do: str) -> None:
    await sim.control("POST", "/sim/clock", {"rate": 100_000})
    await sim.arm(f"GET {TIME}", do)

    status, _, _ = await sim.rest("perp", TIME)

    await sim.control("POST", "/sim/clock", {"rate": 1, "offset_ms": 0})
    assert status == 200
    assert await sim.fired() == [1]


@pytest.mark.parametrize(("do", "expected"), [("status:503", 503), ("status:404", 404)])
async def test_a_status_fault_answers_with_that_status(
    sim: SimulatorClient, do: str, expected: int
) -> None:
    await sim.arm(f"GET {TIME}", do)

    async with sim.session.get(sim.urls["perp_rest_url"] + TIME) as response:
        assert response.status == expected
        assert response.content_type == "text/html"
    assert await sim.fired() == [1]


async def test_429_has_a_retry_after_header(sim: SimulatorClient) -> None:
    await sim.arm(f"GET {TIME}", "status:429", times=2)

    status, body, headers = await sim.rest("perp", TIME)

    assert (status, body["code"], headers["Retry-After"]) == (429, -1003, "1")


@pytest.mark.parametrize(("code", "expected"), [(-1007, 408), (-1021, 400), (-4003, 400)])
async def test_a_code_has_its_status(sim: SimulatorClient, code: int, expected: int) -> None:
    await sim.arm(f"GET {TIME}", f"code:{code}")

    status, body, _ = await sim.rest("perp", TIME)

    assert (status, body["code"]) == (expected, code)
    assert await sim.fired() == [1]


@pytest.mark.parametrize(("do", "content"), [("body:html", b"<html"), ("body:empty", b"")])
async def test_a_body_fault_answers_with_a_body_that_is_not_json(
    sim: SimulatorClient, do: str, content: bytes
) -> None:
    await sim.arm("GET /api/v3/time", do)

    async with sim.session.get(sim.urls["spot_rest_url"] + "/api/v3/time") as response:
        body = await response.read()

    assert (response.status, body[:5]) == (200, content)
    assert await sim.fired() == [1]


async def test_a_truncated_body_ends_early(sim: SimulatorClient) -> None:
    await sim.arm("GET /api/v3/time", "body:truncated")

    with pytest.raises(aiohttp.ClientPayloadError):
        await sim.rest("spot", "/api/v3/time")

    assert await sim.fired() == [1]


async def test_a_stalled_stream_is_silent_while_pings_are_answered(sim: SimulatorClient) -> None:
    async with (
        sim.connect("spot", "/ws/" + BTC) as stalled,
        sim.connect("spot", "/ws/" + ETH) as other,
    ):
        await stalled.receive_message()
        await sim.arm(f"ws:spot:{BTC}", "stall")
        while await sim.fired() != [1]:
            await other.receive_message()
        await stalled.request("LIST_SUBSCRIPTIONS")
        for _ in range(3):
            await other.receive_message()
        await stalled.socket.ping(b"there")
        frame = await stalled.receive_frame()
        await sim.control("DELETE", "/sim/faults")
        again = await stalled.receive_message()

    assert (frame.type, frame.data) == (WSMsgType.PONG, b"there")
    assert again["s"] == "BTCUSDT"


async def test_a_disconnect_sends_no_close_frame(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        await sim.arm("ws:spot", "disconnect")
        code = await wire.close_code()

    assert code == 1006
    assert await sim.fired() == [1]


async def test_a_close_has_its_code_and_leaves_other_streams_alone(sim: SimulatorClient) -> None:
    async with (
        sim.connect("perp", "/public/ws/" + BTC) as target,
        sim.connect("perp", "/public/ws/" + ETH) as other,
    ):
        await sim.arm(f"ws:perp:{BTC}", "close:1012")
        code = await target.close_code()
        reply, _ = await other.request("LIST_SUBSCRIPTIONS")

    assert code == 1012
    assert reply["result"] == [ETH]
    assert await sim.fired() == [1]


async def test_a_fault_waits_for_its_connection(sim: SimulatorClient) -> None:
    await sim.arm("ws:perp", "disconnect", times=2)

    for _ in range(2):
        async with sim.connect("perp", "/public/ws") as wire:
            assert await wire.close_code() == 1006
    async with sim.connect("perp", "/public/ws/" + BTC) as wire:
        await wire.receive_message()

    assert await sim.fired() == [2]


@pytest.mark.parametrize("path", ["/ws/" + BTC, "/stream?streams=" + BTC])
async def test_a_shutdown_is_announced_before_the_connection_ends(
    sim: SimulatorClient, path: str
) -> None:
    async with sim.connect("spot", path) as wire:
        await sim.arm("ws:spot", "shutdown")
        while "serverShutdown" not in str(message := await wire.receive_message()):
            pass
        code = await wire.close_code()

    event = message if path.startswith("/ws") else message["data"]
    assert list(event) == ["e", "E"]
    assert path.startswith("/ws") or message["stream"] == "!serverShutdown"
    assert code == 1001
    assert await sim.fired() == [1]


async def test_a_malformed_frame_is_followed_by_valid_ones(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/stream?streams=" + BTC) as wire:
        await sim.arm("ws:spot", "malformed")
        while parses(text := await wire.receive_text()):
            pass
        assert parses(await wire.receive_text())

    assert text.startswith('{"stream"')
    assert await sim.fired() == [1]


def parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


async def test_a_gap_breaks_the_chain_of_ids_once(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/public/ws/btcusdt@depth@100ms") as wire:
        last = (await wire.receive_message())["u"]
        await sim.arm("ws:perp:btcusdt@depth@100ms", "gap")
        while (event := await wire.receive_message())["pu"] == last:
            last = event["u"]
        after = await wire.receive_message()

    assert event["pu"] > last
    assert after["pu"] == event["u"]
    assert await sim.fired() == [1]


async def test_a_duplicate_is_the_same_frame_again(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        before = await wire.receive_text()
        await sim.arm("ws:spot", "duplicate")
        while (frame := await wire.receive_text()) != before:
            before = frame
        after = await wire.receive_text()

    assert orjson.loads(after)["u"] > orjson.loads(frame)["u"]
    assert await sim.fired() == [1]


async def test_a_fault_fires_as_often_as_its_times(sim: SimulatorClient) -> None:
    crossed = 0
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        await sim.arm("ws:spot", "crossed", times=3)
        while crossed < 3:
            book = await wire.receive_message()
            crossed += float(book["b"]) > float(book["a"])
        book = await wire.receive_message()

    assert float(book["b"]) < float(book["a"])
    assert await sim.fired() == [3]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/sim/faults", {"on": "ws:spot", "do": "explode"}, "close-after-data:<code>, shutdown"),
        ("/sim/faults", {"on": "spot", "do": "stall"}, "ws:spot, ws:perp"),
        ("/sim/faults", {"on": "ws:spot"}, "do"),
        ("/sim/faults", {"on": "ws:spot", "do": "stall", "times": 0}, "$.times"),
        ("/sim/faults", {"on": "ws:spot", "do": "stall", "time": 1}, "time"),
        ("/sim/faults", b"{", "on: request or stream"),
        ("/sim/clock", {"rate": 0}, "$.rate"),
        ("/sim/clock", {"rate": "fast"}, "number above 0"),
        ("/sim/clock", {"speed": 2}, "rate"),
        ("/sim/clock", {"rate": 2, "drift_ms_per_s": 5}, "write one of them"),
        ("/sim/rate", {"rate": 0}, "$.rate"),
        ("/sim/rate", {}, "number above 0, up to 1e+06"),
        ("/sim/symbols/spot/BTCUSDT", {}, "or null to delist"),
        ("/sim/symbols/spot/BTCUSDT", {"status": "trading"}, "$.status"),
        ("/sim/scenario", b"[[step]", "[[step]] with at_s = 5"),
        ("/sim/scenario", b'[[step]]\non = "ws:spot"\ndo = "explode"', "step 1: do: 'explode'"),
    ],
)
async def test_an_invalid_body_is_refused_with_the_allowed_values(
    sim: SimulatorClient, path: str, body: object, named: str
) -> None:
    status, answer = await sim.control("POST", path, body)

    assert status == 400
    assert named in answer["error"]
    assert await sim.fired() == []
