"""Trades of a span are read completely: windows, pages, and pages of one single time."""

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.orders import trade_pages
from chimera_s1.adapters.binance.orders.trade_pages import (
    SPAN_MAX_MS,
    ReadPage,
    TradePage,
    read_all,
    read_span,
)
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.execution.reports import FillReport, ReportSource
from chimera_s1.domain.identifiers import Symbol, Venue

PAGE = 3
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_pages, "PAGE_ROWS", PAGE)


def fill(trade_id: int, at_ms: int) -> FillReport:
    return FillReport(
        venue=Venue.SPOT,
        symbol=Symbol("BTCUSDT"),
        trade_id=str(trade_id),
        order_id="1",
        client_id="",
        side="BUY",
        qty=Decimal(1),
        price=Decimal(1),
        at_ms=at_ms,
        source=ReportSource.READ,
    )


class Venues:
    """Answers like Binance: at most a page, times and an id are never combined."""

    def __init__(self, fills: Iterable[FillReport], span_ms: int) -> None:
        self.fills = tuple(fills)
        self.span_ms = span_ms
        self.requests: list[dict[str, str]] = []

    async def read(self, parameters: dict[str, str]) -> TradePage:
        self.requests.append(parameters)
        assert parameters.keys() in ({"startTime", "endTime"}, {"fromId"}, set())
        rows = list(self.fills)
        if "startTime" in parameters:
            start_ms, end_ms = int(parameters["startTime"]), int(parameters["endTime"])
            assert end_ms - start_ms <= self.span_ms
            rows = [row for row in rows if start_ms <= row.at_ms <= end_ms]
        elif "fromId" in parameters:
            rows = [row for row in rows if int(row.trade_id) >= int(parameters["fromId"])]
        return TradePage(tuple(rows[:PAGE]), min(len(rows), PAGE))


@pytest.mark.parametrize("venue", Venue)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 7, DAY_MS // 2, 8 * DAY_MS]), max_size=30),
    start_ms=st.integers(0, 3 * DAY_MS),
    length_ms=st.integers(0, 40 * DAY_MS),
)
async def test_every_trade_of_the_span_is_read_once(
    venue: Venue, gaps: list[int], start_ms: int, length_ms: int
) -> None:
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    fills = tuple(fill(number, at_ms) for number, at_ms in enumerate(times, 1))
    exchange = Venues(fills, SPAN_MAX_MS[venue])
    end_ms = start_ms + length_ms

    found = await read_span(exchange.read, venue, start_ms, end_ms)

    assert [each for each in found if each.at_ms >= start_ms] == [
        each for each in fills if start_ms <= each.at_ms <= end_ms
    ]
    assert len({each.trade_id for each in found}) == len(found)


@pytest.mark.parametrize("count", [PAGE, PAGE + 1, 4 * PAGE, 4 * PAGE + 1])
async def test_more_trades_than_a_page_may_have_one_time(count: int) -> None:
    same = [fill(number, 100) for number in range(2, count + 2)]
    fills = (fill(1, 50), *same, fill(count + 2, 200), fill(count + 3, 900))
    exchange = Venues(fills, SPAN_MAX_MS[Venue.SPOT])
    assert await read_span(exchange.read, Venue.SPOT, 0, 500) == fills[:-1]


@given(st.integers(0, 20))
async def test_every_trade_of_an_order_is_read_once(count: int) -> None:
    fills = tuple(fill(number, 5) for number in range(1, count + 1))
    assert await read_all(Venues(fills, 0).read) == fills


@pytest.mark.parametrize(("venue", "windows"), [(Venue.SPOT, 7), (Venue.PERP, 1)])
async def test_a_span_is_split_as_the_venue_allows(venue: Venue, windows: int) -> None:
    exchange = Venues((), SPAN_MAX_MS[venue])
    assert await read_span(exchange.read, venue, 0, 7 * DAY_MS - 1) == ()
    assert len(exchange.requests) == windows


async def test_pages_that_do_not_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_pages, "PAGES_MAX", 5)

    async def endless(_: dict[str, str]) -> TradePage:
        return TradePage(tuple(fill(number, 1) for number in range(PAGE)), PAGE)

    read: ReadPage = endless
    for reading in (read_span(read, Venue.SPOT, 0, 10), read_all(read)):
        with pytest.raises(ExchangeUnavailableError, match="do not end after 5 pages"):
            await reading


async def test_a_full_page_without_a_readable_row_is_an_error() -> None:
    async def unreadable(_: dict[str, str]) -> TradePage:
        return TradePage((), PAGE)

    for reading in (read_span(unreadable, Venue.SPOT, 5, 10), read_all(unreadable)):
        with pytest.raises(ExchangeUnavailableError, match="no row that can be read"):
            await reading
