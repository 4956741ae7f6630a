"""A query that shows what the stream should have said proves that the stream is deaf."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.deaf_stream_check import (
    EVENT_DUE_MS,
    REMEMBERED_MAX,
    DeafStreamCheck,
)
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reports import OrderReport, ReportSource
from chimera_s1.domain.identifiers import Symbol

CONNECTED_MS = 1_796_000_000_000
PLACED_MS = CONNECTED_MS + 10
ORDER = OrderReport(
    family=OrderFamily.PERP_ORDER,
    symbol=Symbol("BTCUSDT"),
    client_id="s1-a-e",
    exchange_id="1",
    side="BUY",
    type="LIMIT",
    status="NEW",
    qty=Decimal(2),
    filled_qty=Decimal(0),
    at_ms=PLACED_MS,
    source=ReportSource.READ,
)
PARTLY = replace(ORDER, status="PARTIALLY_FILLED", filled_qty=Decimal(1), at_ms=PLACED_MS + 500)
CANCELED = replace(PARTLY, status="CANCELED", at_ms=PLACED_MS + 900)


def _connected() -> DeafStreamCheck:
    check = DeafStreamCheck()
    check.resume(CONNECTED_MS)
    return check


def test_acknowledged_order_without_an_event_two_seconds_later_shows_a_deaf_stream() -> None:
    check = _connected()

    assert not check.missed(ORDER, PLACED_MS + EVENT_DUE_MS - 1)
    assert check.missed(ORDER, PLACED_MS + EVENT_DUE_MS)


def test_fill_and_end_of_an_order_are_due_as_well() -> None:
    check = _connected()
    check.hear(ORDER)
    late_ms = PLACED_MS + 10_000

    assert not check.missed(ORDER, late_ms)
    assert check.missed(PARTLY, late_ms)
    check.hear(PARTLY)
    assert not check.missed(PARTLY, late_ms)
    assert check.missed(CANCELED, late_ms)
    check.hear(CANCELED)
    assert not check.missed(CANCELED, late_ms)


def test_older_event_after_a_newer_one_takes_nothing_back() -> None:
    check = _connected()
    check.hear(CANCELED)
    check.hear(ORDER)

    assert not check.missed(CANCELED, PLACED_MS + 10_000)


def test_what_happened_before_the_stream_was_connected_is_not_due() -> None:
    check = _connected()
    check.resume(PLACED_MS)

    assert not check.missed(ORDER, PLACED_MS + 10_000)


def test_stream_that_is_being_connected_again_owes_nothing_until_it_is() -> None:
    check = _connected()
    check.renew(PLACED_MS)

    assert not check.missed(PARTLY, PLACED_MS + 10_000)


def test_renewal_is_repeated_at_a_growing_interval() -> None:
    check = _connected()
    now_ms, times = float(CONNECTED_MS), list[float]()
    while len(times) < 4:
        if check.may_renew(now_ms):
            check.renew(now_ms)
            times.append(now_ms)
        now_ms += 500
    gaps = [later - earlier for earlier, later in pairwise(times)]

    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[-1]


@given(extra=st.integers(1, 50))
def test_event_that_is_no_longer_remembered_does_not_count_as_missed(extra: int) -> None:
    check = _connected()
    reports = [
        replace(ORDER, exchange_id=str(n), at_ms=PLACED_MS + n)
        for n in range(REMEMBERED_MAX + extra)
    ]
    for report in reports:
        check.hear(report)

    assert not any(check.missed(report, PLACED_MS + 60_000) for report in reports)
