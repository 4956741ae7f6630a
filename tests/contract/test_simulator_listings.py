"""Symbols listed, changed and delisted at run time, `!contractInfo`, and wrong listings."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, StreamConnection, simulator_client

LISTINGS = {
    "spot": "/api/v3/exchangeInfo",
    "perp": "/fapi/v1/exchangeInfo",
    "coin": "/dapi/v1/exchangeInfo",
}
FAR_AWAY = 4_133_404_800_000


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "20", "--rate", "1000") as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("DELETE", "/sim/faults")


async def listed(sim: SimulatorClient, of: str) -> dict[str, Any]:
    reply = await listing(sim, of)
    return {row["symbol"]: row for row in reply["symbols"]}


async def listing(sim: SimulatorClient, of: str) -> dict[str, Any]:
    """The reply of exchangeInfo; without the long permission sets of spot."""
    venue = "spot" if of == "spot" else "perp"
    status, reply, _ = await sim.rest(venue, LISTINGS[of] + "?showPermissionSets=false")
    assert (status, type(reply)) == (200, dict)
    return dict(reply)


async def event_of(wire: StreamConnection, symbol: str) -> dict[str, Any]:
    while (event := await wire.receive_message())["s"] != symbol:
        pass
    assert isinstance(event, dict)
    return event


async def test_a_listing_is_announced_listed_and_then_trades(sim: SimulatorClient) -> None:
    """PENDING_TRADING is listed and silent; the change to TRADING starts its streams, also those
    that were subscribed before.
    """
    async with (
        sim.connect("perp", "/market/ws/!contractInfo") as contracts,
        sim.connect("perp", "/public/ws") as wire,
    ):
        await sim.list_symbol("perp", "NEWUSDT", status="PENDING_TRADING", onboard_ms=1234)
        pending = await event_of(contracts, "NEWUSDT")
        row = (await listed(sim, "perp"))["NEWUSDT"]
        await wire.request("SUBSCRIBE", ["newusdt@bookTicker"])
        await sim.change_symbol("perp", "NEWUSDT", status="TRADING")
        trading = await event_of(contracts, "NEWUSDT")
        ticker = await wire.receive_message()

    assert list(pending) == ["e", "E", "s", "ps", "ct", "dt", "ot", "cs", "st"]
    assert (pending["cs"], pending["ot"], pending["st"]) == ("PENDING_TRADING", 1234, 1)
    assert (row["status"], row["onboardDate"]) == ("PENDING_TRADING", 1234)
    assert (trading["cs"], trading["dt"]) == ("TRADING", FAR_AWAY)
    assert ticker["s"] == "NEWUSDT"


async def test_a_delisting_shows_first_in_the_delivery_date(sim: SimulatorClient) -> None:
    """The date comes nearer, trading ends, and the contract leaves the listing."""
    await sim.list_symbol("perp", "GONEUSDT")
    async with sim.connect("perp", "/market/ws/!contractInfo") as contracts:
        for change in ({"delivery_ms": 1_900_000_000_000}, {"status": "SETTLING"}):
            await sim.change_symbol("perp", "GONEUSDT", **change)
        settling = (await listed(sim, "perp"))["GONEUSDT"]
        await sim.change_symbol("perp", "GONEUSDT", status=None)
        events = [await event_of(contracts, "GONEUSDT") for _ in range(3)]

    assert [(event["dt"], event["cs"]) for event in events] == [
        (1_900_000_000_000, "TRADING"),
        (1_900_000_000_000, "SETTLING"),
        (1_900_000_000_000, "CLOSE"),
    ]
    assert (settling["deliveryDate"], settling["status"]) == (1_900_000_000_000, "SETTLING")
    assert "GONEUSDT" not in await listed(sim, "perp")


async def test_a_contract_starts_and_stops_trading_at_its_times(sim: SimulatorClient) -> None:
    """By the exchange's clock; a change meanwhile moves the time."""
    _, clock = await sim.control("POST", "/sim/clock", {"offset_ms": 0})
    now, later = clock["now_ms"], 120_000
    async with sim.connect("perp", "/market/ws/!contractInfo") as contracts:
        await sim.list_symbol("perp", "TIMEUSDT", status="PENDING_TRADING", onboard_ms=now + later)
        await sim.list_symbol("perp", "HALTUSDT", status="PENDING_TRADING", onboard_ms=now + later)
        await sim.change_symbol("perp", "HALTUSDT", status="TRADING_HALT")
        await sim.control("POST", "/sim/clock", {"offset_ms": later})
        begun = [await event_of(contracts, "TIMEUSDT") for _ in range(2)]
        await sim.change_symbol("perp", "TIMEUSDT", delivery_ms=now + 2 * later)
        announced = await event_of(contracts, "TIMEUSDT")
        await sim.control("POST", "/sim/clock", {"offset_ms": 2 * later})
        ended = await event_of(contracts, "TIMEUSDT")
    await sim.control("POST", "/sim/clock", {"offset_ms": 0})

    assert [event["cs"] for event in begun] == ["PENDING_TRADING", "TRADING"]
    assert (announced["cs"], announced["dt"]) == ("TRADING", now + 2 * later)
    assert (ended["cs"], ended["dt"]) == ("SETTLING", now + 2 * later)
    assert (await listed(sim, "perp"))["TIMEUSDT"]["status"] == "SETTLING"
    assert (await listed(sim, "perp"))["HALTUSDT"]["status"] == "TRADING_HALT"


async def test_contract_events_mix_both_kinds_of_futures(sim: SimulatorClient) -> None:
    """COIN-M rows come with `st` 2, and are in the COIN-M listing only."""
    async with sim.connect("perp", "/market/stream?streams=!contractInfo") as contracts:
        await sim.list_symbol("perp", "SOLUSD_PERP", coin_margined=True)
        await sim.list_symbol("perp", "MIXUSD1", quote="USD1")
        events = [(await contracts.receive_message())["data"] for _ in range(2)]

    assert [(e["s"], e["ps"], e["st"]) for e in events] == [
        ("SOLUSD_PERP", "SOLUSD", 2),
        ("MIXUSD1", "MIXUSD1", 1),
    ]
    assert "SOLUSD_PERP" in await listed(sim, "coin")
    assert "SOLUSD_PERP" not in await listed(sim, "perp")
    assert (await listed(sim, "perp"))["MIXUSD1"]["quoteAsset"] == "USD1"


async def test_brackets_are_in_an_event_only_when_they_change(sim: SimulatorClient) -> None:
    """Numbers, no strings; each bracket begins where the one before ends."""
    async with sim.connect("perp", "/market/ws/!contractInfo") as contracts:
        await sim.change_symbol("perp", "ETHUSDT", max_leverage=20)
        brackets = (await event_of(contracts, "ETHUSDT"))["bks"]
        await sim.change_symbol("perp", "ETHUSDT", delivery_ms=FAR_AWAY - 1)
        after = await event_of(contracts, "ETHUSDT")

    assert brackets[0] == {
        "bs": 1, "bnf": 0, "bnc": 50_000, "mmr": 0.025, "cf": 0.0, "mi": 11, "ma": 20,
    }  # fmt: skip
    assert [b["bnf"] for b in brackets[1:]] == [b["bnc"] for b in brackets[:-1]]
    assert "bks" not in after


async def test_a_change_without_announcement_is_only_in_the_listing(sim: SimulatorClient) -> None:
    """An event that was lost; and filters, which change without one."""
    async with sim.connect("perp", "/market/ws/!contractInfo") as contracts:
        await sim.list_symbol("perp", "QUIETUSDT", announce=False)
        await sim.change_symbol("perp", "QUIETUSDT", tick_size="0.001", min_notional="10")
        await sim.change_symbol("perp", "XRPUSDT", status="TRADING_HALT")
        first = await contracts.receive_message()
    filters = {
        each["filterType"]: each for each in (await listed(sim, "perp"))["QUIETUSDT"]["filters"]
    }

    assert (first["s"], first["cs"]) == ("XRPUSDT", "TRADING_HALT")
    assert filters["PRICE_FILTER"]["tickSize"] == "0.0010"
    assert filters["MIN_NOTIONAL"]["notional"] == "10"


async def test_a_spot_listing_trades_at_once(sim: SimulatorClient) -> None:
    """Spot has no listing stream; unknown filters are listed as they are given."""
    unknown = {"filterType": "MOON_PHASE", "phases": [1, 2]}
    await sim.list_symbol("spot", "币安人生USDT", extra_filters=[unknown])
    row = (await listed(sim, "spot"))["币安人生USDT"]
    async with sim.connect("spot", "/ws") as wire:
        await wire.request("SUBSCRIBE", ["币安人生usdt@bookTicker"])
        ticker = await wire.receive_message()

    assert (row["baseAsset"], row["filters"][-1]) == ("币安人生", unknown)
    assert ticker["s"] == "币安人生USDT"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"venue": "perp", "symbol": "BTCUSDT"}, "listed already"),
        ({"venue": "perp", "symbol": "NEWEUR"}, "quote"),
        ({"venue": "moon", "symbol": "NEWUSDT"}, "venue"),
        ({"venue": "spot", "symbol": "NEWUSD_PERP", "coin_margined": True}, "COIN-M"),
        ({"venue": "spot", "symbol": "newUSDT"}, "symbol"),
        ({"venue": "spot", "symbol": "NEWUSDT", "color": "red"}, "color"),
    ],
)
async def test_a_wrong_listing_is_refused(
    sim: SimulatorClient, body: dict[str, Any], word: str
) -> None:
    status, answer = await sim.control("POST", "/sim/listings", body)

    assert status == 400
    assert word in answer["error"]


async def test_a_tick_that_does_not_fit_is_refused(sim: SimulatorClient) -> None:
    for tick in ("0", "0.0000001", "NaN", "1e30", "-1"):
        body = {"tick_size": tick}
        status, answer = await sim.control("POST", "/sim/symbols/perp/BNBUSDT", body)
        assert (status, "tick_size" in answer["error"]) == (400, True), tick


@pytest.mark.parametrize("of", ["spot", "perp"])
async def test_a_listing_fault_changes_one_reply(sim: SimulatorClient, of: str) -> None:
    """Each variant once, then the true listing again."""
    path = LISTINGS[of]
    whole = await listed(sim, of)
    for variant in ("empty", "half", "settling", "mangled", "huge"):
        await sim.arm(f"GET {path}", f"listing:{variant}")
    replies = [await listing(sim, of) for _ in range(5)]
    empty, half, settling, mangled, huge = (reply["symbols"] for reply in replies)

    assert empty == []
    assert [row["symbol"] for row in half] == list(whole)[::2]
    assert {row["status"] for row in settling} == {"SETTLING" if of == "perp" else "HALT"}
    good = [row for row in mangled if row in whole.values()]
    assert (len(mangled), len(good)) == (len(whole), len(whole) - len(whole) // 5)
    assert len(huge) == len(whole)
    assert len(replies[4]["unknownField"]) == 5_000_000
    assert await listed(sim, of) == whole
    assert await sim.fired() == [1] * 5


async def test_a_truncated_listing_has_a_whole_response(sim: SimulatorClient) -> None:
    """HTTP is intact, the JSON text is not: `body:truncated` breaks the connection instead."""
    await sim.arm(f"GET {LISTINGS['perp']}", "listing:truncated")
    async with sim.session.get(sim.urls["perp_rest_url"] + LISTINGS["perp"]) as reply:
        text = await reply.read()

    assert reply.status == 200
    assert reply.content_length == len(text)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)


async def test_listing_faults_act_on_listings_only(sim: SimulatorClient) -> None:
    for on in ("GET /fapi/v1/time", "rest:perp"):
        body = {"on": on, "do": "listing:empty"}
        status, answer = await sim.control("POST", "/sim/faults", body)
        assert (status, "cannot act" in answer["error"]) == (400, True)


async def test_a_market_order_may_be_much_smaller_than_a_limit_order(sim: SimulatorClient) -> None:
    """On many spot symbols MARKET_LOT_SIZE has no step: LOT_SIZE's applies."""
    for of, step in (("spot", "0.00000000"), ("perp", "0.001")):
        row = (await listed(sim, of))["BTCUSDT"]
        filters = {each["filterType"]: each for each in row["filters"]}
        most = [float(filters[name]["maxQty"]) for name in ("MARKET_LOT_SIZE", "LOT_SIZE")]
        assert most[0] * 5 < most[1]
        assert filters["MARKET_LOT_SIZE"]["stepSize"] == step


async def test_a_chinese_stream_name_is_escaped_in_a_url(sim: SimulatorClient) -> None:
    await sim.list_symbol("perp", "哈哈USDT")
    name = quote("哈哈usdt") + "%40bookTicker"
    for path in (f"/public/ws/{name}", f"/public/stream?streams={name}"):
        async with sim.connect("perp", path) as wire:
            message = await wire.receive_message()
            assert message.get("data", message)["s"] == "哈哈USDT"


async def test_the_whole_market_has_all_kinds_of_symbols(sim: SimulatorClient) -> None:
    """About as many of each as Binance; all listed rows of a TradFi market and unknown words."""
    status, added = await sim.control("POST", "/sim/listings/whole-market")
    perps = await listed(sim, "perp")
    reply = await listing(sim, "spot")
    spot = {row["symbol"]: row for row in reply["symbols"]}
    kinds = Counter(row["status"] for row in perps.values())

    assert (status, set(added)) == (201, {"spot", "perp"})
    assert len(perps) > 900
    assert 120 < kinds["SETTLING"] < 150
    assert {"AUCTION", "TRADING_HALT", "PRE_SETTLE", "CLOSE"} <= set(kinds)
    assert {row["quoteAsset"] for row in perps.values()} == {"USDT", "USDC", "USD1"}
    assert {row["underlyingType"] for row in perps.values()} > {"FX", "KR_EQUITY", "BOND", "COIN"}
    assert perps["币安人生USDT"]["baseAsset"] == "币安人生"
    assert perps["ETHUSDT_270326"]["pair"] == "ETHUSDT"
    assert len(spot) > 2900
    assert "AUCTION" in {row["status"] for row in spot.values()}
    assert not any(row["permissionSets"] for row in spot.values())
    assert reply["sors"][0]["baseAsset"] == "BTC"
    legacy = spot["SIM0010EUR"]
    filters = {each["filterType"]: each for each in legacy["filters"]}
    assert filters["MIN_NOTIONAL"]["minNotional"] == "5.00000000"
    assert not {"NOTIONAL", "PERCENT_PRICE_BY_SIDE"} & set(filters)
    assert "STOP_LOSS" not in legacy["orderTypes"]


async def test_stocks_on_spot_are_listed_for_their_group_only(sim: SimulatorClient) -> None:
    await sim.control("POST", "/sim/listings/whole-market")
    path = LISTINGS["spot"]
    _, group, _ = await sim.rest("spot", path + '?permissions=["TRD_GRP_250"]')
    _, one, _ = await sim.rest("spot", path + "?symbol=STOCK01USDT")
    status, refused, _ = await sim.rest("spot", path + "?symbol=BTCUSDT&permissions=SPOT")

    assert {row["symbol"] for row in group["symbols"]} == {
        f"STOCK{n:02d}USDT" for n in range(1, 21)
    }
    assert one["symbols"][0]["permissionSets"] == [["TRD_GRP_250"]]
    assert "STOCK01USDT" not in await listed(sim, "spot")
    assert (status, refused["code"]) == (400, -1128)
