"""Binance's connection rules: routes, undelivered streams, limits, pings, the 24 h limit."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client

DAY_MS = 24 * 3_600_000


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "1100") as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("POST", "/sim/clock", {"rate": 1, "offset_ms": 0})


async def test_raw_connections_carry_bare_payloads(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/btcusdt@bookTicker") as wire:
        assert list(await wire.receive_message()) == ["u", "s", "b", "B", "a", "A"]


async def test_combined_connections_name_the_stream(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/stream?streams=btcusdt@bookTicker") as wire:
        message = await wire.receive_message()

    assert list(message) == ["stream", "data"]
    assert message["stream"] == "btcusdt@bookTicker"
    assert message["data"]["s"] == "BTCUSDT"


async def test_the_combined_property_switches_the_shape(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/btcusdt@bookTicker") as wire:
        reply, _ = await wire.request("SET_PROPERTY", ["combined", True])
        shown, _ = await wire.request("GET_PROPERTY", ["combined"])
        after = await wire.receive_message()

    assert (reply["result"], shown["result"]) == (None, True)
    assert after["stream"] == "btcusdt@bookTicker"


@pytest.mark.parametrize(
    ("path", "delivered", "silent"),
    [
        ("/public/ws", "ethusdt@bookTicker", "btcusdt@markPrice@1s"),
        ("/market/ws", "ethusdt@markPrice@1s", "btcusdt@bookTicker"),
        ("/ws", "ethusdt@bookTicker", "btcusdt@markPrice@1s"),
        ("/public/ws", "ethusdt@bookTicker", "BTCUSDT@bookTicker"),
        ("/public/ws", "ethusdt@bookTicker", "btcusdt@bookTickers"),
        ("/public/ws", "ethusdt@depth5@100ms", "btcusdt@depth@250ms"),
    ],
)
async def test_wrong_streams_are_acknowledged_and_never_delivered(
    sim: SimulatorClient, path: str, delivered: str, silent: str
) -> None:
    """Another stream of the same connection delivers three times; the wrong one never does."""
    async with sim.connect("perp", path) as wire:
        first, before = await wire.request("SUBSCRIBE", [silent])
        second, between = await wire.request("SUBSCRIBE", [delivered])
        messages = [await wire.receive_message() for _ in range(3)]
        listed, _ = await wire.request("LIST_SUBSCRIPTIONS")

    assert (first["result"], second["result"]) == (None, None)
    assert {message["s"] for message in before + between + messages} == {"ETHUSDT"}
    assert listed["result"] == [silent, delivered]


async def test_nothing_is_delivered_on_the_private_path(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/private/ws/btcusdt@bookTicker") as wire:
        async with sim.connect("perp", "/public/ws/btcusdt@bookTicker") as neighbour:
            for _ in range(3):
                await neighbour.receive_message()
        _, before = await wire.request("LIST_SUBSCRIPTIONS")

    assert before == []


async def test_unsubscribing_ends_a_stream(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/btcusdt@bookTicker/ethusdt@bookTicker") as wire:
        await wire.request("UNSUBSCRIBE", ["btcusdt@bookTicker"])
        after = [await wire.receive_message() for _ in range(3)]
        listed, _ = await wire.request("LIST_SUBSCRIPTIONS")

    assert {message["s"] for message in after} == {"ETHUSDT"}
    assert listed["result"] == ["ethusdt@bookTicker"]


@pytest.mark.parametrize(("venue", "path"), [("spot", "/public/ws"), ("perp", "/api")])
async def test_unknown_paths_are_not_found(sim: SimulatorClient, venue: str, path: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        async with sim.connect(venue, path):
            pass

    assert refused.value.status == 404


async def test_errors_are_flat_or_nested(sim: SimulatorClient) -> None:
    """Flat for an invalid message; nested, and closing, for one stream too many."""
    names = [f"sim{n:04d}usdt@depth20" for n in range(1, 1025)]
    async with sim.connect("perp", "/private/ws") as wire:
        await wire.send("{")
        flat = await wire.receive_message()
        for start in range(0, 1024, 256):
            reply, _ = await wire.request("SUBSCRIBE", names[start : start + 256])
            assert reply["result"] is None
        nested, _ = await wire.request("SUBSCRIBE", ["one@more"])
        code = await wire.close_code()

    assert (flat["code"], flat["msg"].startswith("Invalid JSON")) == (3, True)
    assert nested["error"] == {"code": 4, "msg": "Too many subscriptions"}
    assert code == 1008


@pytest.mark.parametrize(("venue", "path", "limit"), [("spot", "/ws", 5), ("perp", "/ws", 10)])
async def test_too_many_messages_per_second_close_the_connection(
    sim: SimulatorClient, venue: str, path: str, limit: int
) -> None:
    async with sim.connect(venue, path) as wire:
        for n in range(limit + 1):
            await wire.send({"method": "LIST_SUBSCRIPTIONS", "id": n})
        answered = [(await wire.receive_message())["id"] for _ in range(limit)]
        code = await wire.close_code()

    assert answered == list(range(limit))
    assert code == 1008


async def test_pings_and_pongs_count_as_messages(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws") as wire:
        for _ in range(3):
            await wire.socket.ping()
            await wire.socket.pong()
        assert await wire.close_code() == 1008


async def test_a_client_ping_is_answered_with_its_payload(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/public/ws") as wire:
        await wire.socket.ping(b"hello")
        frame = await wire.receive_frame()

    assert (frame.type, frame.data) == (WSMsgType.PONG, b"hello")


@pytest.mark.parametrize(
    ("venue", "every_ms", "within_ms"), [("spot", 20_000, 60_000), ("perp", 180_000, 600_000)]
)
async def test_pings_follow_the_exchange_clock(
    sim: SimulatorClient, venue: str, every_ms: int, within_ms: int
) -> None:
    """Ping payloads are exchange times one interval apart; without pongs it is closed."""
    async with sim.connect(venue, "/ws") as wire:
        await sim.control("POST", "/sim/clock", {"rate": 600})
        pings = []
        while (frame := await wire.receive_frame()).type is WSMsgType.PING:
            pings.append(int(frame.data))

        assert frame.type is WSMsgType.CLOSE
        assert wire.socket.close_code == 1008
    assert len(pings) in {within_ms // every_ms, within_ms // every_ms + 1}
    assert all(new - old >= every_ms for old, new in pairwise(pings))


async def test_answered_pings_keep_a_connection_open(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws") as wire:
        await sim.control("POST", "/sim/clock", {"rate": 600})
        for _ in range(6):
            frame = await wire.receive_frame()
            assert frame.type is WSMsgType.PING
            await wire.socket.pong(frame.data)


@pytest.mark.parametrize(("venue", "path"), [("spot", "/ws"), ("perp", "/market/stream")])
async def test_connections_end_after_24_hours(sim: SimulatorClient, venue: str, path: str) -> None:
    async with sim.connect(venue, path) as wire:
        await sim.control("POST", "/sim/clock", {"offset_ms": DAY_MS - 60_000})
        reply, _ = await wire.request("LIST_SUBSCRIPTIONS")
        await sim.control("POST", "/sim/clock", {"offset_ms": DAY_MS + 1})
        code = await wire.close_code()

    assert reply["result"] == []
    assert code == 1001


async def test_all_mark_prices_come_in_two_frames(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/market/ws/!markPrice@arr@1s") as wire:
        first, second = await wire.receive_message(), await wire.receive_message()

    assert len(first) > 1100
    assert [row["s"] for row in second] == ["XAUUSDT"]
    assert {row["T"] for row in first} > {0}


async def test_all_book_tickers_mix_both_kinds_of_margin(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/public/ws/!bookTicker") as wire:
        kinds: set[int] = set()
        while kinds != {1, 2}:
            kinds.add((await wire.receive_message())["st"])


@pytest.mark.parametrize(
    ("venue", "path", "snapshot"),
    [
        ("spot", "/ws", "/api/v3/depth?symbol=BTCUSDT&limit=100"),
        ("perp", "/public/ws", "/fapi/v1/depth?symbol=BTCUSDT&limit=100"),
    ],
)
async def test_a_local_book_equals_the_snapshot(venue: str, path: str, snapshot: str) -> None:
    """Diffs applied to a first snapshot give the book of a later one with the same update id."""
    async with (
        simulator_process("--rate", "5") as process,
        simulator_client(process.ready) as sim,
        sim.connect(venue, f"{path}/btcusdt@depth@100ms") as wire,
        sim.connect(venue, f"{path}/btcusdt@depth@100ms") as later,
    ):
        _, first, _ = await sim.rest(venue, snapshot)
        bids, asks = dict(first["bids"]), dict(first["asks"])
        while True:
            event = await wire.receive_message()
            if event["u"] > first["lastUpdateId"]:
                bids, asks = applied(bids, event["b"]), applied(asks, event["a"])
                _, now, _ = await sim.rest(venue, snapshot)
                if now["lastUpdateId"] == event["u"]:
                    break
        chain = [await later.receive_message() for _ in range(3)]

    assert bids == dict(now["bids"])
    assert asks == dict(now["asks"])
    for old, new in pairwise(chain):
        assert (new["U"] == old["u"] + 1) if venue == "spot" else (new["pu"] == old["u"])


def applied(side: dict[str, str], changes: list[tuple[str, str]]) -> dict[str, str]:
    return {price: size for price, size in (side | dict(changes)).items() if float(size)}
