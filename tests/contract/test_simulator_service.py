"""The simulator as a process: weights, control plane, slow readers, files, command line."""

import signal
import socket
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import anyio
import httpx2
import pytest

from chimera_s1.adapters.market_file import MarketFileWriter
from chimera_s1.domain.identifiers import Venue
from tests.processes import chimera_process, finished, simulator_process
from tests.simulator_client import (
    SimulatorClient,
    simulator_client,
)
from tests.time_limits import TIMEOUT_S

MINUTES = count(10)
"""Of the exchange's clock, for tests that need a minute of weight of their own."""

SPOT_TICKER = b'{"u":%d,"s":"BTCUSDT","b":"1.00000000","B":"2.0","a":"1.10000000","A":"3.0"}'


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "2") as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("POST", "/sim/clock", {"rate": 1, "offset_ms": 0})


async def test_weight_above_the_limit_is_refused_then_banned() -> None:
    """24 requests of weight 250 use up the minute; the clock is stopped, so it does not end."""
    depth = "/api/v3/depth?symbol=BTCUSDT&limit=5000"
    async with simulator_process() as process, simulator_client(process.ready) as sim:
        await sim.control("POST", "/sim/clock", {"rate": 0.0001})
        used = [(await sim.rest("spot", depth))[2]["X-MBX-USED-WEIGHT-1M"] for _ in range(24)]
        refused = [await sim.rest("spot", depth) for _ in range(11)]

    assert (used[0], used[-1]) == ("250", "6000")
    assert [status for status, _, _ in refused] == [429] * 10 + [418]
    assert {body["code"] for _, body, _ in refused} == {-1003}
    assert 0 < int(refused[0][2]["Retry-After"]) <= 60
    assert int(refused[-1][2]["Retry-After"]) == 120
    assert "banned until" in refused[-1][1]["msg"]


async def test_the_weight_starts_at_zero_every_minute(sim: SimulatorClient) -> None:
    await sim.rest("perp", "/fapi/v1/exchangeInfo")
    await sim.control("POST", "/sim/clock", {"offset_ms": 61_000})

    _, _, headers = await sim.rest("perp", "/fapi/v1/time")

    assert headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize(
    ("venue", "path", "code"),
    [
        ("spot", "/api/v3/exchangeInfo?symbol=NOPE", -1121),
        ("spot", '/api/v3/exchangeInfo?symbols=["BTCUSDT","NOPE"]', -1121),
        ("spot", "/api/v3/exchangeInfo?symbols=BTCUSDT", -1100),
        ("spot", "/api/v3/exchangeInfo?symbol=BTCUSDT&symbols=[]", -1128),
        ("spot", "/api/v3/depth", -1102),
        ("spot", "/api/v3/depth?symbol=BTCUSDT&limit=x", -1100),
        ("perp", "/fapi/v1/depth?symbol=BTCUSDT&limit=7", -4021),
        ("perp", "/fapi/v1/premiumIndex?symbol=BTCUSD_PERP", -1121),
    ],
)
async def test_invalid_parameters_have_their_code(
    sim: SimulatorClient, venue: str, path: str, code: int
) -> None:
    status, body, _ = await sim.rest(venue, path)

    assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize(
    ("venue", "path", "weight"),
    [
        ("spot", "/api/v3/ticker/price?symbol=BTCUSDT", 2),
        ("spot", '/api/v3/ticker/price?symbols=["BTCUSDT","ETHUSDT"]', 4),
        ("spot", "/api/v3/ticker/bookTicker", 4),
        ("spot", "/api/v3/ticker/24hr?symbol=BTCUSDT", 2),
        ("spot", '/api/v3/ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]', 2),
        ("spot", "/api/v3/ticker/24hr?symbols=[" + ",".join(['"BTCUSDT"'] * 21) + "]", 40),
        ("spot", "/api/v3/ticker/24hr?symbols=[" + ",".join(['"BTCUSDT"'] * 101) + "]", 80),
        ("spot", "/api/v3/ticker/24hr", 80),
        ("spot", "/api/v3/avgPrice?symbol=BTCUSDT", 2),
        ("perp", "/fapi/v1/ticker/price?symbol=BTCUSDT", 1),
        ("perp", "/fapi/v2/ticker/price", 2),
        ("perp", "/fapi/v1/ticker/24hr?symbol=BTCUSDT", 1),
        ("perp", "/fapi/v1/ticker/24hr", 40),
        ("perp", "/dapi/v1/exchangeInfo", 1),
    ],
)
async def test_market_data_costs_what_it_costs_at_binance(
    sim: SimulatorClient, venue: str, path: str, weight: int
) -> None:
    """USD-M and COIN-M share one limit."""
    minutes = next(MINUTES)
    await sim.control("POST", "/sim/clock", {"rate": 0.0001, "offset_ms": minutes * 60_000})

    status, _, headers = await sim.rest(venue, path)

    assert status == 200
    assert headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


async def test_a_mini_day_ticker_has_no_book(sim: SimulatorClient) -> None:
    _, full, _ = await sim.rest("spot", "/api/v3/ticker/24hr?symbol=BTCUSDT")
    _, mini, _ = await sim.rest("spot", "/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")
    status, refused, _ = await sim.rest("spot", "/api/v3/ticker/24hr?type=TINY")

    assert full.keys() - mini.keys() >= {"bidPrice", "askPrice", "priceChange", "lastQty"}
    assert mini.keys() < full.keys()
    assert (status, refused["code"]) == (400, -1130)


@pytest.mark.parametrize(
    ("venue", "path", "unit", "digits"),
    [
        ("spot", "/api/v3/time", "MICROSECOND", 16),
        ("spot", "/api/v3/exchangeInfo?symbol=BTCUSDT", "microsecond", 16),
        ("spot", "/api/v3/time", "MILLISECOND", 13),
        ("perp", "/fapi/v1/time", "MICROSECOND", 13),
    ],
)
async def test_spot_replies_with_times_in_the_unit_of_the_header(
    sim: SimulatorClient, venue: str, path: str, unit: str, digits: int
) -> None:
    url = sim.urls[f"{venue}_rest_url"] + path
    async with sim.session.get(url, headers={"X-MBX-TIME-UNIT": unit}) as response:
        body = await response.json()

    assert len(str(body["serverTime"])) == digits


async def test_a_time_unit_that_binance_does_not_know_is_refused(sim: SimulatorClient) -> None:
    url = sim.urls["spot_rest_url"] + "/api/v3/time"
    async with sim.session.get(url, headers={"X-MBX-TIME-UNIT": "NANOSECOND"}) as response:
        body = await response.json()

    assert (response.status, body["code"]) == (400, -1194)


@pytest.mark.parametrize("path", ["/ws", "/stream"])
async def test_spot_streams_have_times_in_the_unit_of_their_connection(
    sim: SimulatorClient, path: str
) -> None:
    """Two connections of one stream, each in its own unit."""
    micro, milli = f"{path}?timeUnit=MICROSECOND", path
    async with sim.connect("spot", micro) as first, sim.connect("spot", milli) as second:
        times = []
        for wire in (first, second):
            await wire.request("SUBSCRIBE", ["btcusdt@depth@100ms"])
        for wire in (first, second):
            message = await wire.receive_message()
            times.append(message.get("data", message)["E"])

    assert [len(str(time)) for time in times] == [16, 13]


async def test_futures_streams_have_milliseconds_only(sim: SimulatorClient) -> None:
    path = "/public/stream?streams=btcusdt@bookTicker&timeUnit=MICROSECOND"
    async with sim.connect("perp", path) as wire:
        message = await wire.receive_message()

    assert len(str(message["data"]["E"])) == 13


async def test_an_unknown_path_is_an_html_404(sim: SimulatorClient) -> None:
    async with sim.session.get(sim.urls["spot_rest_url"] + "/api/v3/nope") as response:
        assert (response.status, response.content_type) == (404, "text/html")


async def test_filters_have_each_venues_own_names(sim: SimulatorClient) -> None:
    _, spot, _ = await sim.rest("spot", "/api/v3/exchangeInfo?symbol=BTCUSDT")
    _, perp, _ = await sim.rest("perp", "/fapi/v1/exchangeInfo")

    spot_filters = {each["filterType"]: each for each in spot["symbols"][0]["filters"]}
    perp_filters = {each["filterType"]: each for each in perp["symbols"][0]["filters"]}
    assert spot_filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert float(spot_filters["MARKET_LOT_SIZE"]["stepSize"]) == 0
    assert perp_filters["MIN_NOTIONAL"]["notional"] == "100"
    assert perp_filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert {each["status"] for each in perp["symbols"]} > {"TRADING", "SETTLING"}


async def test_the_control_plane_shows_the_last_frames_sent(sim: SimulatorClient) -> None:
    async with sim.connect("spot", "/ws/ethusdt@bookTicker") as wire:
        received = [await wire.receive_message() for _ in range(3)]
        _, rest = await wire.request("UNSUBSCRIBE", ["ethusdt@bookTicker"])
    _, shown = await sim.control("GET", "/sim/quotes/spot/ethusdt")
    _, status = await sim.control("GET", "/sim/status")

    assert (received + rest)[-shown["kept"] :] == [frame["data"] for frame in shown["frames"]]
    assert {frame["stream"] for frame in shown["frames"]} == {"ethusdt@bookTicker"}
    assert abs(shown["frames"][0]["sent_ms"] - status["clock"]["now_ms"]) < 60_000
    assert status["venues"]["spot"]["frames_sent"] >= 3


@pytest.mark.parametrize("path", ["/sim/quotes/dex/BTCUSDT", "/sim/quotes/spot/NOPE", "/sim/x"])
async def test_unknown_resources_of_the_control_plane_are_not_found(
    sim: SimulatorClient, path: str
) -> None:
    status, answer = await sim.control("GET", path)

    assert status == 404
    assert answer["error"]


async def test_the_exchange_clock_is_independent_of_the_local_clock(sim: SimulatorClient) -> None:
    """Offset and rate show in server times and event times."""
    await sim.control("POST", "/sim/clock", {"offset_ms": 5_000_000})
    _, time, _ = await sim.rest("perp", "/fapi/v1/time")
    async with sim.connect("perp", "/public/ws/btcusdt@bookTicker") as wire:
        event = await wire.receive_message()
    _, status = await sim.control("GET", "/sim/status")

    local_ms = status["clock"]["now_ms"] - status["clock"]["offset_ms"]
    assert status["clock"]["offset_ms"] == 5_000_000
    assert 0 <= event["E"] - time["serverTime"] < 60_000
    assert event["E"] > local_ms + 4_000_000


async def test_a_slow_reader_misses_frames_and_delays_no_other_client() -> None:
    """Unread frames are skipped and counted; other clients continue, memory stays bounded."""
    async with (
        simulator_process("--rate", "1000000") as process,
        simulator_client(process.ready) as sim,
        sim.connect("spot", "/ws/btcusdt@bookTicker") as slow,
        sim.connect("spot", "/ws/ethusdt@depth5@100ms") as quick,
    ):
        slow.pause_reading()
        skipped = 0
        with anyio.fail_after(TIMEOUT_S):
            while not skipped:
                await quick.receive_message()
                _, status = await sim.control("GET", "/sim/status")
                skipped = status["venues"]["spot"]["frames_skipped"]
        last = (await quick.receive_message())["lastUpdateId"]
        assert (await quick.receive_message())["lastUpdateId"] > last
        _, status = await sim.control("GET", "/sim/status")
        assert status["venues"]["spot"]["connections"] == 2
        assert 0 < status["venues"]["spot"]["bytes_unread"] < 4 * 1024 * 1024


@pytest.mark.parametrize(
    "header", [{"Host": "attacker.example"}, {"Origin": "https://attacker.example"}]
)
async def test_a_web_page_cannot_use_the_control_plane(
    header: dict[str, str], urls: dict[str, str], sim: SimulatorClient
) -> None:
    """By DNS rebinding, or by a form of another site."""
    form = {"Content-Type": "text/plain", **header}
    async with httpx2.AsyncClient(base_url=urls["control_url"], timeout=TIMEOUT_S) as page:
        reply = await page.post("/sim/clock", content='{"rate": 9}', headers=form)

    assert reply.status_code == 403
    assert "attacker.example" in reply.json()["error"]
    _, status = await sim.control("GET", "/sim/status")
    assert status["clock"]["rate"] == 1


async def test_a_recorded_file_is_played_in_order(tmp_path: Path) -> None:
    """Ids and prices are the file's; event times are current."""
    path = tmp_path / "quotes.jsonl"
    with MarketFileWriter(path) as writer:
        for n in range(3):
            ticker = SPOT_TICKER % (100 + n)
            message = b'{"stream":"btcusdt@bookTicker","data":%b}' % ticker
            writer.write(1000 + n, Venue.SPOT, message)
    async with (
        simulator_process("--play", str(path)) as process,
        simulator_client(process.ready) as sim,
        sim.connect("spot", "/ws/btcusdt@bookTicker") as wire,
    ):
        received = [await wire.receive_message() for _ in range(3)]

    assert [(book["u"], book["b"]) for book in received] == [
        (n, "1.00000000") for n in (100, 101, 102)
    ]


async def test_a_looped_file_has_growing_ids_and_current_times(tmp_path: Path) -> None:
    path = tmp_path / "quotes.jsonl.gz"
    ticker = (
        b'{"e":"bookTicker","u":7,"E":1000,"T":999,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}'
    )
    with MarketFileWriter(path) as writer:
        message = b'{"stream":"btcusdt@bookTicker","data":%b}' % ticker
        writer.write(1010, Venue.PERP, message)
    async with (
        simulator_process("--play", str(path), "--loop", "--play-at-rate") as process,
        simulator_client(process.ready) as sim,
        sim.connect("perp", "/public/ws/btcusdt@bookTicker") as wire,
    ):
        received = [await wire.receive_message() for _ in range(4)]
        _, time, _ = await sim.rest("perp", "/fapi/v1/time")

    assert [book["u"] for book in received] == [7, 14, 21, 28]
    assert all(0 <= time["serverTime"] - book["E"] < 60_000 for book in received)
    assert {book["E"] - book["T"] for book in received} == {1}


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_exits_with_0_on_a_signal(ending: signal.Signals) -> None:
    async with simulator_process() as process:
        assert await process.stop(ending) == 0


async def test_it_exits_with_0_while_clients_are_connected() -> None:
    async with (
        simulator_process() as process,
        simulator_client(process.ready) as sim,
        sim.connect("spot", "/ws/btcusdt@bookTicker") as wire,
    ):
        await wire.receive_message()
        assert await process.stop() == 0


async def test_a_port_in_use_gives_one_sentence_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = await finished("simulate", "--json", "--spot-ws-port", str(port))

    assert (code, out) == (2, "")
    assert f"127.0.0.1:{port}" in err
    assert "choose another port" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("symbols", ["BTCEUR", "0", "", "USDT"])
async def test_invalid_symbols_are_refused(symbols: str) -> None:
    code, _, err = await finished("simulate", "--symbols", symbols)

    assert code == 2
    assert "--symbols" in err


async def test_the_same_seed_gives_the_same_prices() -> None:
    books = []
    for seed in ("7", "7", "8"):
        async with (
            chimera_process("simulate", "--json", "--seed", seed) as process,
            simulator_client(process.ready) as sim,
        ):
            _, depth, _ = await sim.rest("spot", "/api/v3/depth?symbol=ETHUSDT&limit=20")
            books.append((depth["bids"], depth["asks"]))

    assert books[0] == books[1] != books[2]
