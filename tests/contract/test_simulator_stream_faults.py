"""Faults of frames, links and single connections, as a client sees them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anyio
import orjson
import pytest
from aiohttp import WSMsgType

from chimera_s1.adapters.simulator.streams.malformed import HUGE_BYTES
from chimera_s1.adapters.system.system_clock import SystemClock
from tests.processes import simulator_process
from tests.simulator_client import (
    SimulatorClient,
    StreamConnection,
    simulator_client,
)
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
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


async def opened(sim: SimulatorClient, venue: str) -> str:
    """The name of the connection opened last."""
    return str((await status(sim))["venues"][venue]["open"][-1]["on"])


async def muted(sim: SimulatorClient, name: str, other: StreamConnection) -> None:
    """Wait until connection *name* is muted; messages of *other* pace the polling."""
    while not any(
        each["on"] == name and each["muted"]
        for each in (await status(sim))["venues"]["spot"]["open"]
    ):
        await other.receive_message()


async def test_a_half_open_connection_neither_sends_nor_receives(sim: SimulatorClient) -> None:
    """The live connection shows that time passes; the dead one stays open after its ping."""
    async with sim.connect("spot", "/ws/" + BTC) as dead:
        name = await opened(sim, "spot")
        async with sim.connect("spot", "/ws/" + BTC) as alive:
            await sim.arm(name, "half-open")
            await muted(sim, name, alive)
            assert await sim.fired() == [1]
            await dead.socket.ping(b"there?")
            await alive.socket.ping(b"there?")
            while (await alive.receive_frame()).type is not WSMsgType.PONG:
                pass
            seen = await heard_before_silence(dead, alive)

    assert WSMsgType.PONG not in seen
    assert WSMsgType.CLOSE not in seen


async def heard_before_silence(dead: StreamConnection, alive: StreamConnection) -> list[WSMsgType]:
    """The kinds of frames *dead* received before it was muted; *alive* shows that time passes."""
    kinds: list[WSMsgType] = []

    async def listen() -> None:
        while True:
            kinds.append((await dead.socket.receive()).type)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        for _ in range(50):
            await alive.receive_message()
        count = len(kinds)
        for _ in range(50):
            await alive.receive_message()
        assert len(kinds) == count
        tasks.cancel_scope.cancel()
    return kinds


async def test_a_connection_fault_leaves_other_connections_alone(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/public/ws/" + BTC) as target:
        name = await opened(sim, "perp")
        async with sim.connect("perp", "/public/ws/" + BTC) as other:
            await sim.arm(name, "disconnect")
            assert await target.close_code() == 1006
            await other.receive_message()

    assert await sim.fired() == [1]


@pytest.mark.parametrize(("do", "expected"), [("refuse", 503), ("refuse:418", 418)])
async def test_a_refused_handshake_has_its_status_and_open_connections_stay(
    sim: SimulatorClient, do: str, expected: int
) -> None:
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        await sim.arm("ws:spot", do)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with sim.connect("spot", "/ws/" + BTC):
                pass
        await wire.receive_message()
        async with sim.connect("spot", "/ws/" + BTC) as again:
            await again.receive_message()

    assert caught.value.status == expected
    assert await sim.fired() == [1]


async def test_a_slow_link_delays_everything_including_pongs(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/public/ws/" + BTC) as wire:
        await wire.receive_message()
        await sim.arm("ws:perp", "slow:300")
        with anyio.fail_after(TIMEOUT_S):
            while not late(await wire.receive_message()):
                pass
        await wire.socket.ping(b"x")
        while (frame := await wire.receive_frame()).type is not WSMsgType.PONG:
            pass
        await sim.control("DELETE", "/sim/faults")
        with anyio.fail_after(TIMEOUT_S):
            while late(await wire.receive_message()):
                pass

    assert frame.data == b"x"


async def test_late_pongs_come_after_data_that_was_sent_later(sim: SimulatorClient) -> None:
    """Only the pong waits: frames overtake it."""
    async with sim.connect("perp", "/public/ws/" + BTC) as wire:
        await wire.receive_message()
        await sim.arm("ws:perp", "late-pong:300")
        with anyio.fail_after(TIMEOUT_S):
            while await sim.fired() != [1]:
                await wire.receive_message()
        started = CLOCK.now_ms()
        await wire.socket.ping(b"x")
        overtook = 0
        while (frame := await wire.receive_frame()).type is not WSMsgType.PONG:
            overtook += 1
        passed_ms = CLOCK.now_ms() - started

    assert frame.data == b"x"
    assert overtook > 0
    assert passed_ms >= 300


def late(event: Any) -> bool:
    """By the local clock, which the simulator follows: a request for each frame falls behind."""
    return bool(CLOCK.now_ms() - event["E"] > 250)


async def test_a_throttled_link_delivers_whole_frames_in_order(sim: SimulatorClient) -> None:
    """The link holds bytes back; frames arrive in order and undamaged."""
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        await sim.arm("ws:spot", "trickle:2000")
        held = 0
        last = (await wire.receive_message())["u"]
        with anyio.fail_after(TIMEOUT_S):
            while held <= 0 or await sim.fired() != [1]:
                event = await wire.receive_message()
                assert event["u"] > last
                last = event["u"]
                held = (await status(sim))["venues"]["spot"]["bytes_unread"]
        await sim.control("DELETE", "/sim/faults")
        with anyio.fail_after(TIMEOUT_S):
            while (await status(sim))["venues"]["spot"]["bytes_unread"]:
                assert (await wire.receive_message())["u"] > last


async def test_a_reorder_swaps_two_frames(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        ids = [(await wire.receive_message())["u"]]
        await sim.arm(f"ws:spot:{BTC}", "reorder")
        while ids == sorted(ids):
            ids.append((await wire.receive_message())["u"])
        after = [(await wire.receive_message())["u"] for _ in range(3)]

    *_, before, newer, older = ids
    assert (newer, older) == (before + 2, before + 1)
    assert after == [before + 3, before + 4, before + 5]
    assert await sim.fired() == [1]


@pytest.mark.parametrize("kind", ["late", "future"])
async def test_event_times_are_shifted_by_the_fault(sim: SimulatorClient, kind: str) -> None:
    async with sim.connect("perp", "/public/ws/" + BTC) as wire:
        before = (await wire.receive_message())["E"]
        await sim.arm("ws:perp", f"{kind}:60000")
        while abs((event := await wire.receive_message())["E"] - before) < 30_000:
            before = event["E"]

    assert (event["E"] > before) is (kind == "future")
    assert await sim.fired() == [1]


@pytest.mark.parametrize("kind", ["json", "types", "event", "nan", "infinity", "huge", "empty"])
@pytest.mark.parametrize("path", ["/ws/" + BTC, "/stream?streams=" + BTC])
async def test_a_stream_continues_after_a_malformed_text_frame(
    sim: SimulatorClient, kind: str, path: str
) -> None:
    async with sim.connect("spot", path) as wire:
        await sim.arm("ws:spot", f"malformed:{kind}")
        while sound(text := await wire.receive_text()):
            pass
        assert sound(await wire.receive_text())

    assert ("NaN" in text) is (kind == "nan")
    assert ("Infinity" in text) is (kind == "infinity")
    assert (len(text) > HUGE_BYTES) is (kind == "huge")
    assert await sim.fired() == [1]


def sound(text: str) -> bool:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    book = message.get("data", message)
    return len(text) < HUGE_BYTES and isinstance(book.get("b"), str) and book["b"][0].isdigit()


@pytest.mark.parametrize("path", ["/ws/" + BTC, "/stream?streams=" + BTC])
async def test_a_stream_continues_after_a_binary_frame(sim: SimulatorClient, path: str) -> None:
    async with sim.connect("spot", path) as wire:
        await sim.arm("ws:spot", "malformed:binary")
        while (frame := await wire.receive_frame()).type is WSMsgType.TEXT:
            pass
        await wire.receive_text()

    assert frame.type is WSMsgType.BINARY
    assert await sim.fired() == [1]


async def test_invalid_utf8_is_sent_in_a_text_frame(sim: SimulatorClient) -> None:
    """A client that validates it, as RFC 6455 demands, ends the connection with 1007."""
    async with sim.connect("spot", "/ws/" + BTC) as wire:
        await sim.arm("ws:spot", "malformed:utf8")
        while (frame := await wire.receive_frame()).type is WSMsgType.TEXT:
            pass

    assert wire.socket.close_code == 1007, frame
    assert await sim.fired() == [1]
