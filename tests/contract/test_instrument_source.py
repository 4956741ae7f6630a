"""Reading instruments from Binance: every good row is used, each bad one is named once."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from chimera_s1.adapters.binance.account_key import AccountKey, KeySource, no_key
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.instruments.source import BinanceInstrumentSource
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import LeverageBracket, LeverageBrackets
from chimera_s1.domain.instruments.listing_read import UnusableListing
from chimera_s1.domain.instruments.trading_session import TradingSession
from tests.contract.raw_http_server import (
    RawHttpServer,
    ReceivedRequest,
    ScriptedReply,
    http_reply,
    raw_http_server,
)
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
SHAPES = Path(__file__).parents[1] / "unit" / "adapters" / "binance" / "instruments" / "shapes"
PERP_ROW: dict[str, Any] = msgspec.json.decode((SHAPES / "perp.json").read_bytes())["symbols"][0]
ACCOUNT = "live:7"
DAY_MS = 86_400_000


async def demo_key() -> AccountKey:
    credentials = Credentials(Secret("k" * 64), Secret("s" * 64))
    return AccountKey(Signer(credentials, CLOCK.now_ms), ACCOUNT)


class Source(msgspec.Struct):
    """The source, the server behind it, and what it has reported."""

    port: BinanceInstrumentSource
    server: RawHttpServer
    reported: list[UnusableRow]

    @property
    def request(self) -> ReceivedRequest:
        (only,) = self.server.requests
        return only


@asynccontextmanager
async def source(body: object, key: KeySource = no_key) -> AsyncIterator[Source]:
    """Replies to every request with *body*."""
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    reported: list[UnusableRow] = []
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_http_server(ScriptedReply(http_reply(200, encoded))) as server,
            BinanceInstrumentSource(
                {venue: Endpoints(server.url, "") for venue in Venue},
                weight_budgets(CLOCK),
                key,
                RowReader(reported.append),
            ) as port,
        ):
            yield Source(port, server, reported)


@pytest.mark.parametrize(
    ("venue", "target", "listed"),
    [
        (Venue.SPOT, b"/api/v3/exchangeInfo?showPermissionSets=false", 9),
        (Venue.PERP, b"/fapi/v1/exchangeInfo", 11),
    ],
)
async def test_a_listing_needs_no_key(venue: Venue, target: bytes, listed: int) -> None:
    """Permission sets are left out; COIN-M contracts are passed over."""
    async with source((SHAPES / f"{venue.value}.json").read_bytes()) as each:
        read = await each.port.listing(venue)

    assert read.venue is venue
    assert len(read.specs) == listed
    assert not read.unusable
    assert each.request.target == target
    assert b"X-MBX-APIKEY" not in each.request.head.upper()


async def test_each_unusable_row_of_a_large_listing_is_named_once() -> None:
    """5 MB, read twice; one in ten rows is bad, one of them in a way of its own."""
    good = [PERP_ROW | {"symbol": f"C{number:05}USDT"} for number in range(4_000)]
    lot = {"filterType": "LOT_SIZE", "stepSize": "x"}
    bad = [PERP_ROW | {"symbol": f"B{number:05}USDT", "filters": [lot]} for number in range(440)]
    listed = [row for pair in zip(good, [*bad, *good], strict=False) for row in pair][:880]
    rows = [*listed, *good[440:], None, {"symbol": "TWICEUSDT"}, good[7]]
    body = msgspec.json.encode({"symbols": rows})
    async with source(body) as each:
        first = await each.port.listing(Venue.PERP)
        again = await each.port.listing(Venue.PERP)
    twice = UnusableListing("C00007USDT", "listed twice")

    assert len(body) > 5_000_000
    assert [spec.instrument.symbol for spec in first.specs] == [row["symbol"] for row in good]
    assert {row.symbol for row in first.unusable} == {
        *(row["symbol"] for row in bad),
        "",
        "TWICEUSDT",
        "C00007USDT",
    }
    assert twice in first.unusable
    assert again == first
    assert len(each.reported) == len(bad) + 2
    assert len({row.name for row in each.reported}) == len(each.reported)


async def test_a_listing_that_is_decoded_lets_the_event_loop_go_on() -> None:
    """The hot path has its turn many times while a large listing is read."""
    rows = [PERP_ROW | {"symbol": f"C{number:05}USDT"} for number in range(2_000)]
    turns = 0
    async with source({"symbols": rows}) as each, anyio.create_task_group() as tasks:

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        tasks.start_soon(count_turns)
        info = await each.port.listing(Venue.PERP)
        tasks.cancel_scope.cancel()

    assert len(info.specs) == 2_000
    assert turns >= 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADI',
        b"<html>gateway</html>",
        b"{}",
        b'{"symbols":null}',
        b'{"symbols":[' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"]}",
        b"",
    ],
    ids=["truncated", "a page", "no symbols", "null", "too deep", "nothing"],
)
async def test_a_reply_that_is_no_listing_is_unavailable(body: bytes) -> None:
    """The same call may succeed later."""
    async with source(body) as each:
        with pytest.raises(ExchangeUnavailableError, match="exchangeInfo: unexpected reply body"):
            await each.port.listing(Venue.PERP)


BRACKET = {
    "bracket": 1,
    "initialLeverage": 75,
    "notionalCap": 10_000,
    "notionalFloor": 0,
    "maintMarginRatio": 0.0065,
    "cum": 0.0,
}
BRACKETS = LeverageBrackets(
    account=ACCOUNT,
    notional_coef=Decimal("1.5"),
    brackets=(
        LeverageBracket(
            bracket=1,
            initial_leverage=75,
            notional_floor=Decimal(0),
            notional_cap=Decimal(10_000),
            maintenance_margin_ratio=Decimal("0.0065"),
            cumulative=Decimal(0),
        ),
    ),
)
ETH = {"symbol": "ETHUSDT", "notionalCoef": 1.5, "brackets": [BRACKET]}


@pytest.mark.parametrize("body", [[ETH], ETH], ids=["array", "object"])
async def test_brackets_are_signed_and_name_their_account(body: object) -> None:
    """Binance answers with an array or an object; its numbers are taken exactly."""
    async with source(body, demo_key) as each:
        brackets = await each.port.leverage_brackets()

    assert brackets == {Symbol("ETHUSDT"): BRACKETS}
    assert re.fullmatch(
        rb"/fapi/v1/leverageBracket\?recvWindow=5000&timestamp=\d+&signature=[0-9a-f]{64}",
        each.request.target,
    )
    assert each.request.header("X-MBX-APIKEY") == b"k" * 64


async def test_a_bracket_that_cannot_be_read_costs_its_symbol_only() -> None:
    """`notionalCoef` is there only for adjusted accounts."""
    rows = [
        {"symbol": "BTCUSDT", "brackets": [BRACKET | {"cum": "x"}]},
        {"symbol": "ETHUSDT", "brackets": [BRACKET]},
        {"symbol": "XRPUSDT"},
    ]
    async with source(rows, demo_key) as each:
        brackets = await each.port.leverage_brackets()

    assert brackets is not None
    assert list(brackets) == ["ETHUSDT"]
    assert brackets[Symbol("ETHUSDT")].notional_coef is None
    assert [row.name for row in each.reported] == ["BTCUSDT", "XRPUSDT"]


async def test_what_needs_a_key_is_not_asked_for_without_one() -> None:
    """None: what is stored stays."""
    async with source([]) as each:
        assert await each.port.leverage_brackets() is None
        assert await each.port.delisting_dates() is None
        assert not each.server.requests


async def test_funding_intervals_are_those_of_usd_margined_contracts() -> None:
    """COIN-M rows are passed over; a row that cannot be used is not an interval of 8 h."""
    rows = [
        {"symbol": "BTCUSDT", "fundingIntervalHours": 8, "disclaimer": False, "updateTime": None},
        {"symbol": "BANUSDT", "fundingIntervalHours": 2, "adjustedFundingRateCap": "0.02"},
        {"symbol": "BTCUSD_PERP", "fundingIntervalHours": 8},
        {"symbol": "ETHUSD_261225", "fundingIntervalHours": 8},
        {"symbol": "BTCUSDT_261225", "fundingIntervalHours": 8},
        {"symbol": "XRPUSDT", "fundingIntervalHours": 0},
        {"symbol": "ADAUSDT"},
        None,
    ]
    async with source(rows) as each:
        intervals = await each.port.funding_intervals()

    assert intervals == {
        "BTCUSDT": 8,
        "BANUSDT": 2,
        "BTCUSDT_261225": 8,
        "XRPUSDT": None,
        "ADAUSDT": None,
    }
    assert len(each.reported) == 3


async def test_funding_intervals_without_a_row_are_unavailable() -> None:
    """Absent contracts settle every 8 h, but not all of them."""
    async with source([]) as each:
        with pytest.raises(ExchangeUnavailableError, match="fundingInfo: the reply has no rows"):
            await each.port.funding_intervals()


async def test_the_earliest_date_of_a_delisting_holds() -> None:
    """The wallet API names the symbols of each date."""
    rows = [
        {"delistTime": 2 * DAY_MS, "symbols": ["ADAUSDT", "BNBUSDT"]},
        {"delistTime": DAY_MS, "symbols": ["ADAUSDT"]},
        {"delistTime": -1, "symbols": ["XRPUSDT"]},
    ]
    async with source(rows, demo_key) as each:
        dates = await each.port.delisting_dates()

    assert dates == {
        InstrumentId(Venue.SPOT, Symbol("ADAUSDT")): DAY_MS,
        InstrumentId(Venue.SPOT, Symbol("BNBUSDT")): 2 * DAY_MS,
    }
    assert each.request.target.startswith(b"/sapi/v1/spot/delist-schedule?")


async def test_trading_sessions_are_in_order_by_underlying_type() -> None:
    """A session or a type that cannot be read does not cost the others."""
    regular = {"startTime": 2 * DAY_MS, "endTime": 3 * DAY_MS, "type": "REGULAR"}
    closed = {"startTime": DAY_MS, "endTime": 2 * DAY_MS, "type": "NO_TRADING"}
    body = {
        "updateTime": 1,
        "marketSchedules": {
            "EQUITY": {"sessions": [regular, closed, regular | {"endTime": 1}]},
            "COMMODITY": {"sessions": []},
            "FX": 7,
        },
    }
    async with source(body) as each:
        sessions = await each.port.trading_sessions()

    assert sessions == {
        "EQUITY": (
            TradingSession(DAY_MS, 2 * DAY_MS, "NO_TRADING"),
            TradingSession(2 * DAY_MS, 3 * DAY_MS, "REGULAR"),
        ),
        "COMMODITY": (),
    }
    assert len(each.reported) == 2
