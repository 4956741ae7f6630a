"""Which rows of a futures history a query shows."""

from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.matching.records import Order
from chimera_s1.adapters.simulator.rest.history_pages import HistoryPage, is_kept, order_named
from chimera_s1.adapters.simulator.rest.parameters import DAY_MS
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

NOW_MS = 100 * DAY_MS
ROWS = [(number, NOW_MS - (10 - number) * DAY_MS) for number in range(10)]
"""Id and time: one a day, the last one a day ago."""


def ids(**parameters: int | str) -> list[int]:
    texts = {name: str(value) for name, value in parameters.items()}
    page = HistoryPage.parse(texts, "fromId", NOW_MS)
    return [row[0] for row in page.select(ROWS, lambda row: row[0], lambda row: row[1])]


def test_a_query_without_times_shows_the_last_seven_days() -> None:
    assert ids() == [3, 4, 5, 6, 7, 8, 9]
    assert ids(limit=2) == [8, 9]


def test_a_query_from_a_time_shows_seven_days_from_there() -> None:
    since_ms = ROWS[1][1]

    assert ids(startTime=since_ms) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert ids(startTime=since_ms, limit=2) == [1, 2]
    assert ids(startTime=since_ms, endTime=since_ms + DAY_MS) == [1, 2]


def test_an_id_is_not_limited_by_time() -> None:
    assert ids(fromId=0, limit=3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"startTime": NOW_MS - 7 * DAY_MS - 1, "endTime": NOW_MS}, -4165),
        ({"fromId": 1, "startTime": NOW_MS}, -1128),
        ({"startTime": NOW_MS, "endTime": NOW_MS - 1}, -1130),
        ({"limit": 1001}, -1130),
        ({"fromId": "x"}, -1100),
    ],
)
def test_a_wrong_window_is_refused(parameters: dict[str, int | str], code: int) -> None:
    with pytest.raises(BinanceError) as refused:
        ids(**parameters)

    assert refused.value.code == code


def test_the_exchange_id_wins_over_the_client_id() -> None:
    both = {"orderId": "7", "origClientOrderId": "a"}

    assert order_named(both, "orderId", "origClientOrderId") == (7, None)
    assert order_named({"origClientOrderId": "a"}, "orderId", "origClientOrderId") == (None, "a")
    with pytest.raises(BinanceError, match="both were empty"):
        order_named({}, "orderId", "origClientOrderId")


@pytest.mark.parametrize(
    ("status", "filled", "days", "kept"),
    [
        ("NEW", 0, 100, True),
        ("CANCELED", 0, 3, True),
        ("CANCELED", 0, 4, False),
        ("EXPIRED", 0, 4, False),
        ("CANCELED", 1, 4, True),
        ("FILLED", 1, 90, True),
        ("FILLED", 1, 91, False),
    ],
)
def test_old_orders_are_forgotten(status: str, filled: int, days: int, *, kept: bool) -> None:
    order = Order(
        venue=Venue.PERP,
        symbol="BTCUSDT",
        order_id=1,
        client_id="a",
        side="BUY",
        type="LIMIT",
        status=status,
        qty=Decimal(2),
        filled_qty=Decimal(filled),
        created_ms=0,
        updated_ms=NOW_MS - days * DAY_MS,
    )

    assert is_kept(order, NOW_MS) is kept
