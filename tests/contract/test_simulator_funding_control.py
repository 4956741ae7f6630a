"""Funding under control: withheld, changed and Special rows, lags, positions, income, candles."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from chimera_s1.adapters.simulator.config import AccountConfig, HeldPosition, SimulatorConfig
from tests.contract.signed_client import Account, running_simulator
from tests.simulator_client import SimulatorClient, simulator_client

HOUR_MS = 3_600_000
AFTER_NOON_MS = 1_796_601_600_000 + 12 * HOUR_MS + HOUR_MS // 2  # 2026-12-07 12:30 UTC
LONGEST_LAG_MS = 8_060
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT", "BNBUSDT", "USDCUSDT")
HELD = AccountConfig(positions=(HeldPosition("BTCUSDC", Decimal("-0.2"), "BNB"),))
RATES, INCOME, CANDLES = "/fapi/v1/fundingRate", "/fapi/v1/income", "/api/v3/klines"


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with running_simulator(SimulatorConfig(rate=1, symbols=SYMBOLS, account=HELD)) as urls:
        yield urls


@pytest.fixture
async def account(urls: dict[str, str]) -> AsyncIterator[Account]:
    async with simulator_client(urls) as client:
        account = Account(client)
        await account.move_clock(AFTER_NOON_MS - account.now_ms)
        yield account
        await client.control("DELETE", "/sim/faults")
        await client.control("POST", "/sim/wallet", {"permissions": {"futures": True}})


@pytest.fixture
def sim(account: Account) -> SimulatorClient:
    return account.sim


async def rates(sim: SimulatorClient, symbol: str, limit: int = 3) -> list[dict[str, Any]]:
    _, rows, _ = await sim.rest("perp", f"{RATES}?symbol={symbol}&limit={limit}")
    return list(rows)


async def order(sim: SimulatorClient, path: str, **body: Any) -> dict[str, Any]:
    status, answer = await sim.control("POST", f"/sim/funding{path}", body)
    assert status in {200, 201}, answer
    return dict(answer)


async def shown(sim: SimulatorClient, symbol: str = "") -> dict[str, Any]:
    _, view = await sim.control("GET", "/sim/funding" + (f"?symbol={symbol}" if symbol else ""))
    return dict(view)


async def pass_settlement(account: Account, symbol: str) -> int:
    """Move the clock behind the next one, and all that is published of it."""
    due: int = (await shown(account.sim, symbol))["next_ms"]
    now_ms = (await shown(account.sim))["now_ms"]
    await account.move_clock(account.offset_ms + due + LONGEST_LAG_MS - now_ms)
    return due


async def test_a_withheld_row_appears_when_it_is_released(account: Account) -> None:
    sim = account.sim
    withheld = await order(sim, "/withheld", symbol="BTCUSDT")
    due = await pass_settlement(account, "BTCUSDT")
    without = await rates(sim, "BTCUSDT", 1)
    view = await shown(sim, "BTCUSDT")
    _, answer = await sim.control("DELETE", "/sim/funding/withheld?symbol=BTCUSDT")
    after = await rates(sim, "BTCUSDT", 1)

    assert withheld == {"symbol": "BTCUSDT", "due_ms": due, "rate_type": "Regular"}
    assert without[0]["fundingTime"] < due
    assert (view["withheld"], view["pending"]) == ([withheld], [])
    assert answer == {"released": 1}
    assert after[0]["fundingTime"] // HOUR_MS * HOUR_MS == due


async def test_a_published_row_changes_later(sim: SimulatorClient) -> None:
    """First its rate, then its mark price is gone, then its time is another."""
    before, *_ = await rates(sim, "ETHUSDT")
    time_ms = before["fundingTime"]
    await order(sim, "/changes", symbol="ETHUSDT", time_ms=time_ms, rate="-0.0123")
    changed, *others = await rates(sim, "ETHUSDT")
    await order(sim, "/changes", symbol="ETHUSDT", time_ms=time_ms, mark_price="")
    incomplete, *_ = await rates(sim, "ETHUSDT")
    await order(sim, "/changes", symbol="ETHUSDT", time_ms=time_ms, late_ms=1234)
    moved, *_ = await rates(sim, "ETHUSDT")

    assert changed == {**before, "fundingRate": "-0.01230000"}
    assert len(others) == 2
    assert incomplete == {**changed, "markPrice": ""}
    assert moved == {**incomplete, "fundingTime": time_ms // HOUR_MS * HOUR_MS + 1234}
    assert [row["rate"] for row in (await shown(sim))["changed"]] == ["-0.01230000"]


async def test_a_special_row_comes_besides_the_regular_one(sim: SimulatorClient) -> None:
    regular, *_ = await rates(sim, "SOLUSDT")
    time_ms = regular["fundingTime"]
    await order(sim, "/specials", symbol="SOLUSDT", time_ms=time_ms, rate="0.004")
    both = [row for row in await rates(sim, "SOLUSDT", 4) if row["fundingTime"] == time_ms]

    assert both[0] == regular
    assert both[1]["rateType"] == "Special"
    assert both[1]["fundingRate"] == "0.00400000"


async def test_the_lag_can_be_set(account: Account) -> None:
    sim = account.sim
    await order(sim, "", lag_ms=[600_000, 600_000])
    due = await pass_settlement(account, "SOLUSDT")
    pending = (await shown(sim, "SOLUSDT"))["pending"]
    before = await rates(sim, "SOLUSDT", 1)
    await order(sim, "", lag_ms=[0, 0])
    after = await rates(sim, "SOLUSDT", 1)
    await order(sim, "", lag_ms=[2_000, 8_000])

    assert [row["due_ms"] for row in pending] == [due]
    assert before[0]["fundingTime"] < due <= after[0]["fundingTime"]


async def test_coin_margined_rows_can_be_left_out(sim: SimulatorClient) -> None:
    path = f"{RATES}?limit=1000"
    _, rows, _ = await sim.rest("perp", path)
    await order(sim, "", coin_margined=False)
    _, without, _ = await sim.rest("perp", path)
    await order(sim, "", coin_margined=True)

    assert "BTCUSD_PERP" in {row["symbol"] for row in rows}
    assert "BTCUSD_PERP" not in {row["symbol"] for row in without}


async def test_positions_pay_and_receive(account: Account) -> None:
    """What a long pays, a short receives; in hedge mode each side has a row."""
    sim = account.sim
    await order(sim, "/positions", symbol="ADAUSDT", long="1000", short="250.5")
    due = await pass_settlement(account, "ADAUSDT")
    await order(sim, "/positions", symbol="ADAUSDT", amount="0")
    row, *_ = await rates(sim, "ADAUSDT", 1)
    _, rows = await account.get(INCOME, symbol="ADAUSDT", startTime=due)
    value = Decimal(row["markPrice"]) * Decimal(row["fundingRate"])

    assert sorted(Decimal(each["income"]) for each in rows) == sorted(
        [round(-1000 * value, 8), round(Decimal("250.5") * value, 8)]
    )
    assert list(rows[0]) == [
        "symbol", "incomeType", "income", "asset", "info", "time", "tranId", "tradeId",
    ]  # fmt: skip
    assert {(each["incomeType"], each["asset"]) for each in rows} == {("FUNDING_FEE", "USDT")}
    assert len({each["tranId"] for each in rows}) == 2
    assert all(due <= each["time"] < due + 40 for each in rows)
    assert [each["symbol"] for each in (await shown(sim))["positions"]] != []


async def test_a_position_may_be_held_from_the_start(account: Account) -> None:
    """For ever; its income is the same after a restart."""
    held = [row for row in (await shown(account.sim))["positions"] if row["symbol"] == "BTCUSDC"]
    _, rows = await account.get(INCOME, symbol="BTCUSDC", limit=2)

    assert held == [
        {"symbol": "BTCUSDC", "since_ms": 0, "amounts": {"BOTH": "-0.2"}, "asset": "BNB"}
    ]
    assert {row["asset"] for row in rows} == {"BNB"}
    assert rows[0]["tranId"] == rows[0]["time"] // HOUR_MS * 10_000


async def test_special_income_has_a_type_and_perhaps_an_asset_of_its_own(account: Account) -> None:
    """Both types may have the same tranId."""
    sim = account.sim
    now_ms = (await shown(sim))["now_ms"]
    since_ms = now_ms - 30 * 24 * HOUR_MS
    body = {"symbol": "XRPUSDT", "amount": "-5000", "asset": "BNB", "since_ms": since_ms}
    await order(sim, "/positions", **body)
    settled = (await shown(sim, "XRPUSDT"))["latest"][-1]
    special = {"symbol": "XRPUSDT", "rate": "0.01", "time_ms": settled["due_ms"]}
    await order(sim, "/specials", **special)
    window = {"symbol": "XRPUSDT", "startTime": settled["due_ms"]}
    _, both = await account.get(INCOME, **window)
    _, specials = await account.get(INCOME, **window, incomeType="SPECIAL_FUNDING_FEE")
    minute = settled["due_ms"]
    path = f"{CANDLES}?symbol=BNBUSDT&interval=1m&startTime={minute}&limit=1"
    _, ((opened, *prices), *_), headers = await sim.rest("spot", path)
    price = Decimal(prices[3])

    assert {row["incomeType"] for row in both} == {"FUNDING_FEE", "SPECIAL_FUNDING_FEE"}
    assert len({row["tranId"] for row in both}) == 1
    assert (opened, headers["X-MBX-USED-WEIGHT-1M"]) >= (minute, "2")
    paid = 5000 * Decimal(settled["mark_price"]) * Decimal("0.01")
    assert Decimal(specials[0]["income"]) == round(paid / price, 8)
    assert specials[0]["asset"] == "BNB"


async def test_income_has_the_rules_of_binance(account: Account) -> None:
    """The last seven days, at most three months, by time, transfers among them."""
    sim = account.sim
    now_ms = (await shown(sim))["now_ms"]
    day_ms = 24 * HOUR_MS
    await sim.change_symbol("perp", "ETHUSDT", funding_hours=8)
    await order(sim, "/positions", symbol="ETHUSDT", amount="2", since_ms=now_ms - 200 * day_ms)
    await account.transfer("MAIN_UMFUTURE", "25")
    _, week = await account.get(INCOME, limit=1000)
    _, fees = await account.get(INCOME, symbol="ETHUSDT", limit=1000)
    _, old = await account.get(INCOME, symbol="ETHUSDT", startTime=now_ms - 150 * day_ms, limit=1)
    _, first = await account.get(INCOME, symbol="ETHUSDT", startTime=now_ms - 80 * day_ms)
    _, refused = await account.get(INCOME, page=1)
    await account.set(permissions={"futures": False})
    denied = await account.get(INCOME)

    times = [row["time"] for row in week]
    assert times == sorted(times)
    assert {"TRANSFER", "FUNDING_FEE"} <= {row["incomeType"] for row in week}
    assert len(fees) == 21
    assert old[0]["time"] > now_ms - 93 * day_ms
    assert len(first) == 100
    assert refused["code"] == -1104
    assert (denied[0], denied[1]["code"]) == (401, -2015)


async def test_a_fast_clock_need_not_refuse_signed_requests(account: Account) -> None:
    """The fixture has set the exchange's clock far from this machine's."""
    account.offset_ms = 0
    refused = await account.get(INCOME)
    await account.set(local_timestamps=True)
    accepted = await account.get(INCOME)
    account.offset_ms = 10_000
    ahead = await account.get(INCOME)
    await account.set(local_timestamps=False)

    assert (refused[0], refused[1]["code"]) == (400, -1021)
    assert accepted[0] == 200
    assert ahead[1]["code"] == -1021


async def test_candles_are_the_same_each_time(sim: SimulatorClient) -> None:
    """One minute each, joined; only from the listing on, and of one minute only."""
    _, candles, _ = await sim.rest("spot", f"{CANDLES}?symbol=USDCUSDT&interval=1m&limit=5")
    first, last = candles[0][0], candles[-1][0]
    window = f"startTime={first}&endTime={last}"
    _, again, _ = await sim.rest("spot", f"{CANDLES}?symbol=USDCUSDT&interval=1m&{window}")
    _, before, _ = await sim.rest(
        "spot", f"{CANDLES}?symbol=USDCUSDT&interval=1m&startTime=0&endTime=60000"
    )
    replies = [
        (await sim.rest("spot", f"{CANDLES}?{query}"))[1]["code"]
        for query in ("symbol=USDCUSDT&interval=2h", "symbol=NOPEUSDT&interval=1m", "interval=1m")
    ]

    assert again == candles
    assert before == []
    assert last - first == 4 * 60_000
    assert [row[6] - row[0] for row in candles] == [59_999] * 5
    assert [row[1] for row in candles[1:]] == [row[4] for row in candles[:-1]]
    assert all(0.99 < float(row[3]) <= float(row[4]) <= float(row[2]) < 1.01 for row in candles)
    assert replies == [-1120, -1121, -1102]


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("", {"lag_ms": [5, 1]}, "the shortest comes first"),
        ("", {"lag_ms": 5}, "lag_ms: shortest and longest"),
        ("/specials", {"symbol": "BTCUSDT", "rate": "2"}, "rate: 2 is not a rate"),
        ("/specials", {"symbol": "BTCUSDT"}, "rate"),
        ("/withheld", {"symbol": "BTCUSDT", "time_ms": 7 * HOUR_MS}, "no Regular settlement at"),
        ("/withheld", {"symbol": "BTCUSDT", "rate_type": "Odd"}, "no Odd settlement"),
        ("/changes", {"symbol": "BTCUSDT", "time_ms": 0}, "nothing to change"),
        (
            "/changes",
            {"symbol": "BTCUSDT", "time_ms": 0, "mark_price": "1e9"},
            "mark_price: '1e9' is not a price",
        ),
        ("/positions", {"symbol": "BTCUSDT"}, "write either amount, or long and short"),
        ("/positions", {"symbol": "BTCUSDT", "amount": "1", "long": "1"}, "write either"),
        ("/positions", {"symbol": "BTCUSDT", "long": "-1"}, "long: -1 is not an amount"),
        ("/positions", {"symbol": "BTCUSDT", "amount": "NaN"}, "amount: NaN is not"),
    ],
)
async def test_a_wrong_order_is_refused_with_what_is_allowed(
    sim: SimulatorClient, path: str, body: dict[str, Any], word: str
) -> None:
    status, answer = await sim.control("POST", f"/sim/funding{path}", body)

    assert status == 400
    assert word in answer["error"]


async def test_an_unknown_contract_is_refused(sim: SimulatorClient) -> None:
    for method, path in (("GET", "?symbol=NOPE"), ("POST", "/withheld")):
        body = {"symbol": "BTCUSD_PERP"} if method == "POST" else None
        status, answer = await sim.control(method, f"/sim/funding{path}", body)
        assert (status, "no USD-M contract here" in answer["error"]) == (404, True)


async def test_a_funding_fault_changes_one_page(account: Account) -> None:
    """Each variant once, of both histories; then the true pages again."""
    sim = account.sim
    await order(sim, "/positions", symbol="BTCUSDT", amount="1", since_ms=1)
    variants = ("unordered", "duplicated", "short", "mangled", "empty")
    true = await rates(sim, "BTCUSDT", 10)
    _, fees = await account.get(INCOME, symbol="BTCUSDT")
    for path in (RATES, INCOME):
        for variant in variants:
            await sim.arm(f"GET {path}", f"funding:{variant}")
    pages = {variant: await rates(sim, "BTCUSDT", 10) for variant in variants}
    unordered = (await account.get(INCOME, symbol="BTCUSDT"))[1]
    for _ in variants[1:]:
        await account.get(INCOME, symbol="BTCUSDT")

    assert unordered == fees[::-1] != fees
    assert pages["unordered"] == true[::-1]
    assert pages["duplicated"] == [row for row in true for _ in range(2)]
    assert pages["short"] == true[:5]
    assert [row for row in pages["mangled"] if row not in true] == [
        {**true[4], "fundingRate": "NaN"},
        {name: value for name, value in true[9].items() if name != "fundingTime"},
    ]
    assert pages["empty"] == []
    assert await rates(sim, "BTCUSDT", 10) == true
    assert await sim.fired() == [1] * 10


async def test_funding_faults_act_on_funding_only(sim: SimulatorClient) -> None:
    for on in ("GET /fapi/v1/time", "GET /fapi/v1/exchangeInfo", "rest:perp"):
        body = {"on": on, "do": "funding:short"}
        status, answer = await sim.control("POST", "/sim/faults", body)
        assert (status, "cannot act" in answer["error"]) == (400, True)
