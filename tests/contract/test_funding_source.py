"""Reading funding from Binance: every good row is used, each bad one is named once."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import msgspec
import pytest

from chimera_s1.adapters.binance.account_key import AccountKey, KeySource, no_key
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.funding.source import BinanceFundingSource
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, Settlement, SettlementKey
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.request_bucket import LimitSource
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.funding_source import Candle, NoPrice
from tests.contract.raw_http_server import (
    RawHttpServer,
    ReceivedRequest,
    ScriptedReply,
    http_reply,
    raw_http_server,
)
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
ACCOUNT = "live:7"
BTC = Symbol("BTCUSDT")
TIME = 1_772_608_000_000
RATE = {
    "symbol": "BTCUSDT",
    "fundingRate": "-0.00037500",
    "fundingTime": TIME,
    "markPrice": "67287.54619963",
    "rateType": "Regular",
}
FEE = {
    "symbol": "BTCUSDT",
    "incomeType": "FUNDING_FEE",
    "income": "-0.37500000",
    "asset": "USDT",
    "info": "FUNDING_FEE",
    "time": TIME,
    "tranId": 9689322392,
    "tradeId": "",
}
CANDLE = [TIME - TIME % 60_000, "612.0", "613", "611", "612.50", "7.1", TIME, "1", 2, "3", "4", "0"]


async def demo_key() -> AccountKey:
    credentials = Credentials(Secret("k" * 64), Secret("s" * 64))
    return AccountKey(Signer(credentials, CLOCK.now_ms), ACCOUNT)


class Source(msgspec.Struct):
    """The source, the server behind it, and what it has reported."""

    port: BinanceFundingSource
    server: RawHttpServer
    reported: list[UnusableRow]

    @property
    def request(self) -> ReceivedRequest:
        (only,) = self.server.requests
        return only


@asynccontextmanager
async def source(
    body: object, *, status: int = 200, key: KeySource = no_key, clock: Clock = CLOCK
) -> AsyncIterator[Source]:
    """Replies to every request with *body*; *clock* is that of the limits, 10 of `fundingRate`."""
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    reported: list[UnusableRow] = []
    budgets = weight_budgets(clock)
    budgets[Venue.PERP].requests.learn("futures.funding", 10, LimitSource.SETTING)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_http_server(ScriptedReply(http_reply(status, encoded))) as server,
            BinanceFundingSource(
                {venue: Endpoints(server.url, "") for venue in Venue},
                budgets,
                key,
                RowReader(reported.append),
            ) as port,
        ):
            yield Source(port, server, reported)


async def read_rate(**change: Any) -> Settlement | None:
    """Of `RATE` with *change*; None where the row cannot be used."""
    row = {name: value for name, value in (RATE | change).items() if value is not msgspec.UNSET}
    async with source([row]) as each:
        page = await each.port.rates(TIME, TIME)
    assert len(page.rows) + len(page.unusable) == 1
    assert len(each.reported) == len(page.unusable)
    return page.rows[0] if page.rows else None


async def test_rates_need_no_key_and_are_exact() -> None:
    async with source([RATE]) as each:
        page = await each.port.rates(TIME, TIME + 5)

    assert page.rows == (
        Settlement(
            SettlementKey(TIME, BTC, REGULAR), Decimal("-0.000375"), Decimal("67287.54619963")
        ),
    )
    assert not page.unusable
    assert page.unusable_of == frozenset()
    assert not page.is_full
    assert each.request.target == (
        b"/fapi/v1/fundingRate?startTime=1772608000000&endTime=1772608000005&limit=1000"
    )
    assert b"X-MBX-APIKEY" not in each.request.head.upper()


async def test_rates_of_one_symbol_are_asked_for_by_name() -> None:
    """Binance lists symbols in Chinese characters."""
    async with source([]) as each:
        page = await each.port.rates(1, 2, Symbol("币安人生USDT"))

    assert not page.rows
    assert each.request.target.startswith(
        b"/fapi/v1/fundingRate?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&startTime=1&"
    )


async def test_a_page_of_a_thousand_rows_may_have_a_next_one() -> None:
    """Whatever becomes of its rows: the exchange has counted them."""
    rows = [RATE, RATE | {"symbol": "BTCUSD_PERP"}, {}] * 400
    async with source(rows[:1_000]) as full:
        page = await full.port.rates(TIME, TIME)
    async with source(rows[:999]) as rest:
        last = await rest.port.rates(TIME, TIME)

    assert page.is_full
    assert not last.is_full
    assert (len(page.rows), len(page.unusable), full.port.passed_over) == (334, 333, 333)
    assert len(full.reported) == 1


async def test_rows_out_of_order_are_passed_on_as_they_are() -> None:
    """Times are some ms off the hour, and one time may have two types."""
    rows = [
        RATE | {"fundingTime": TIME + 18},
        RATE,
        RATE | {"rateType": "Special", "fundingRate": "0.01"},
        RATE,
    ]
    async with source(rows) as each:
        page = await each.port.rates(TIME, TIME + 18)

    assert [row.key for row in page.rows] == [
        SettlementKey(TIME + 18, BTC, REGULAR),
        SettlementKey(TIME, BTC, REGULAR),
        SettlementKey(TIME, BTC, SPECIAL),
        SettlementKey(TIME, BTC, REGULAR),
    ]


@pytest.mark.parametrize("mark", ["", None, msgspec.UNSET, "0.00000000"])
async def test_a_mark_price_that_is_not_given_is_unknown(mark: object) -> None:
    """Rows of 2022 and before."""
    settlement = await read_rate(markPrice=mark, fundingTime=1_568_102_400_000)

    assert settlement is not None
    assert settlement.mark_price is None
    assert settlement.rate == Decimal("-0.000375")


async def test_a_rate_type_of_tomorrow_is_kept() -> None:
    """A row without one is of the time before there were types."""
    new, old = await read_rate(rateType="Dividend2"), await read_rate(rateType=msgspec.UNSET)

    assert new is not None
    assert new.key.rate_type == "Dividend2"
    assert old is not None
    assert old.key.rate_type == REGULAR


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0.00010000", "0.0001"),
        ("-0.00000000", "0"),
        ("0E-8", "0"),
        ("1e-5", "0.00001"),
        ("0.1234567890123456789012345", "0.1234567890123456789012345"),
    ],
)
async def test_a_rate_keeps_every_digit(text: str, rate: str) -> None:
    settlement = await read_rate(fundingRate=text)

    assert settlement is not None
    assert str(format(settlement.rate, "f")) == rate


BAD_RATES: dict[str, list[Any]] = {
    "fundingRate": [
        *("", "NaN", "Infinity", "-inf", "1_0", "x", " 1", "\u0661", None),
        *("1e999999", "1e-999999", "0e999999999", "9" * 41),
    ],
    "fundingTime": [0, -1, 10**18, "soon", None, 1.5],
    "symbol": ["", "A B", "x" * 65, "A\nB", None, 7],
    "markPrice": ["-1", "NaN", "1e999999", []],
    "rateType": ["", "a b", "x" * 33, None],
}


@pytest.mark.parametrize("field", BAD_RATES)
async def test_a_row_that_cannot_be_used_makes_the_page_unusable(field: str) -> None:
    """The other rows are there, and the bad one is named once."""
    bad = [RATE | {field: value} for value in BAD_RATES[field]]
    async with source([RATE, *bad, RATE | {"symbol": "ETHUSDT"}]) as each:
        page = await each.port.rates(TIME, TIME)
        again = await each.port.rates(TIME, TIME)

    assert [row.key.symbol for row in page.rows] == ["BTCUSDT", "ETHUSDT"]
    assert page.unusable_of == (None if field == "symbol" else {"BTCUSDT"})
    assert len(page.unusable) == len(bad)
    assert again == page
    assert {(row.name, row.reason) for row in each.reported} == {
        (name, reason)
        for name, _, reason in (each_row.partition(": ") for each_row in page.unusable)
    }


@pytest.mark.parametrize(
    "body", [b"<html>gateway</html>", b"{}", b'[{"symbol":"BTC', b"null", b""], ids=str
)
async def test_a_reply_that_is_no_list_is_unavailable(body: bytes) -> None:
    """The same call may succeed later."""
    async with source(body) as each:
        with pytest.raises(ExchangeUnavailableError, match=r"fundingRate.*: unexpected reply body"):
            await each.port.rates(TIME, TIME)


async def test_rates_spend_the_bucket_that_no_header_shows() -> None:
    """History may use 70 % of it, and waits as long as the exchange counts."""
    clock = ManualClock()
    async with source([RATE], clock=clock) as each, anyio.create_task_group() as tasks:
        for _ in range(7):
            await each.port.rates(TIME, TIME)

        tasks.start_soon(each.port.rates, TIME, TIME)
        await clock.wait_for_sleeper()
        await clock.advance(299_000)
        assert len(each.server.requests) == 7
        await clock.advance(3_000)
        await each.server.wait_for_requests(8)


async def test_income_is_signed_and_names_the_account() -> None:
    """Negative if paid; both types have a weight of 30 and the rules of one page."""
    special = FEE | {"incomeType": "SPECIAL_FUNDING_FEE", "income": "1.5", "asset": "BNB"}
    async with source([FEE, special | {"tranId": 0}], key=demo_key) as each:
        page = await each.port.income(TIME, TIME + 5, SPECIAL)

        assert await each.port.account() == ACCOUNT
    assert page.account == ACCOUNT
    assert page.rows == (
        IncomeRow(BTC, REGULAR, TIME, IncomePart(9689322392, "USDT", Decimal("-0.375"))),
        IncomeRow(BTC, SPECIAL, TIME, IncomePart(0, "BNB", Decimal("1.5"))),
    )
    assert re.fullmatch(
        rb"/fapi/v1/income\?incomeType=SPECIAL_FUNDING_FEE&startTime=1772608000000"
        rb"&endTime=1772608000005&limit=1000&recvWindow=5000&timestamp=\d+&signature=[0-9a-f]{64}",
        each.request.target,
    )
    assert each.request.header("X-MBX-APIKEY") == b"k" * 64


BAD_FEES: dict[str, list[Any]] = {
    "income": ["", "NaN", "1e999999", "1_0", None, []],
    "tranId": [-1, 2**63, "x", None, 1.5],
    "asset": ["", "U SDT", "x" * 33, None],
    "symbol": ["", None],
    "time": [0, None, 10**18],
    "incomeType": [""],
}


async def test_an_income_row_that_cannot_be_used_is_named() -> None:
    """It costs only itself, and the page is not proven."""
    bad = [FEE | {field: value} for field in BAD_FEES for value in BAD_FEES[field]]
    async with source([*bad, FEE], key=demo_key) as each:
        page = await each.port.income(TIME, TIME, REGULAR)

    assert len(page.rows) == 1
    assert len(page.unusable) == len(bad)
    assert page.unusable_of is None


async def test_the_contracts_of_unusable_income_rows_are_named() -> None:
    """The page still proves what other contracts have paid."""
    bad = [FEE | {"symbol": symbol, "income": "x"} for symbol in ("BTCUSDT", "ETHUSDT")]
    async with source([*bad, FEE], key=demo_key) as each:
        page = await each.port.income(TIME, TIME, REGULAR)

    assert page.unusable_of == frozenset({BTC, Symbol("ETHUSDT")})


async def test_an_income_type_that_was_not_asked_for_is_kept() -> None:
    """It belongs to no settlement, which is for others to say; COIN-M rows are counted."""
    rows = [FEE | {"incomeType": "FEE_RETURN"}, FEE | {"symbol": "BTCUSD_PERP"}]
    async with source(rows, key=demo_key) as each:
        page = await each.port.income(TIME, TIME, REGULAR)

    assert [row.rate_type for row in page.rows] == ["FEE_RETURN"]
    assert each.port.passed_over == 1


async def test_without_a_key_there_is_no_account_and_income_is_not_asked_for() -> None:
    async with source([]) as each:
        assert await each.port.account() is None
        with pytest.raises(ExchangeRefusedError, match="no exchange key"):
            await each.port.income(TIME, TIME, REGULAR)
        assert not each.server.requests


@pytest.mark.parametrize("status", [400, 401])
async def test_a_key_that_may_not_read_income_is_refused(status: int) -> None:
    body = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    async with source(body, status=status, key=demo_key) as each:
        with pytest.raises(ExchangeRefusedError, match="-2015 Invalid API-key, IP, or perm"):
            await each.port.income(TIME, TIME, REGULAR)


async def test_the_price_of_an_asset_is_the_close_of_its_minute() -> None:
    async with source([CANDLE]) as each:
        price = await each.port.usdt_price("BNB", TIME)

    assert price == Candle(Decimal("612.5"), TIME - TIME % 60_000)
    assert each.request.target == (
        b"/api/v3/klines?symbol=BNBUSDT&interval=1m&startTime=1772607960000"
        b"&endTime=1772608019999&limit=1"
    )
    assert b"X-MBX-APIKEY" not in each.request.head.upper()


async def test_an_asset_without_a_market_has_no_price() -> None:
    """BNFCR is Binance's credit in Europe; a market may also have no candle of that minute."""
    async with source({"code": -1121, "msg": "Invalid symbol."}, status=400) as each:
        assert await each.port.usdt_price("BNFCR", TIME) is NoPrice.NO_MARKET
        assert await each.port.usdt_price("A/B", TIME) is NoPrice.NO_MARKET
        assert len(each.server.requests) == 1
    async with source([]) as each:
        assert await each.port.usdt_price("BNB", TIME) is NoPrice.NO_CANDLE


async def test_another_refusal_is_no_missing_market() -> None:
    """A firewall that refuses the request says nothing about the asset."""
    async with source({"code": -1102, "msg": "Mandatory parameter"}, status=400) as each:
        with pytest.raises(ExchangeRefusedError, match="-1102"):
            await each.port.usdt_price("BNB", TIME)


@pytest.mark.parametrize(
    "candle",
    [[], [CANDLE[0], "1", "2", "3", "0"], [CANDLE[0], "1", "2", "3", "NaN"], [TIME, *CANDLE[1:]]],
    ids=["short", "zero", "NaN", "another minute"],
)
async def test_a_candle_that_cannot_be_used_is_no_missing_market(candle: list[Any]) -> None:
    async with source([candle]) as each:
        with pytest.raises(ExchangeUnavailableError):
            await each.port.usdt_price("BNB", TIME)
