"""The daily cap: UTC days, and the sum of the cap events."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap, utc_day
from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
ID = TransferId("t-1")
DAY = "2026-11-26"


@given(st.integers(0, LAST_MS))
def test_utc_day_agrees_with_the_calendar(epoch_ms: int) -> None:
    moment = EPOCH + timedelta(milliseconds=epoch_ms)

    assert utc_day(epoch_ms) == moment.date().isoformat()


@given(st.integers(0, LAST_MS // 86_400_000))
def test_a_utc_day_begins_and_ends_at_midnight(number: int) -> None:
    midnight = number * 86_400_000

    assert utc_day(midnight) == utc_day(midnight + 86_399_999)
    assert utc_day(midnight) == (EPOCH + timedelta(days=number)).date().isoformat()


@pytest.mark.parametrize(
    ("epoch_ms", "day"),
    [
        (0, "1970-01-01"),
        (951_782_400_000, "2000-02-29"),
        (1_709_251_199_999, "2024-02-29"),
        (1_709_251_200_000, "2024-03-01"),
        (1_798_761_599_999, "2026-12-31"),
        (1_798_761_600_000, "2027-01-01"),
        (4_107_542_399_999, "2100-02-28"),
        (4_107_542_400_000, "2100-03-01"),
        (LAST_MS, "9999-12-31"),
    ],
)
def test_leap_days_and_year_boundaries(epoch_ms: int, day: str) -> None:
    assert utc_day(epoch_ms) == day


def reserved(amount: str) -> CapReserved:
    return CapReserved(day=DAY, transfer_id=ID, amount=Decimal(amount), cap=Decimal(100))


def share(kind: type[CapSettled | CapReleased | CapRebooked], amount: str) -> CapEvent:
    return kind(day=DAY, transfer_id=ID, amount=Decimal(amount))


@pytest.mark.parametrize(
    ("events", "used"),
    [
        ([], "0"),
        ([reserved("10")], "10"),
        ([reserved("10"), share(CapSettled, "10")], "10"),
        ([reserved("10"), share(CapReleased, "10")], "0"),
        ([reserved("10"), share(CapReleased, "10"), share(CapRebooked, "10")], "10"),
        ([reserved("0.1"), reserved("0.2"), share(CapReleased, "0.1")], "0.2"),
    ],
)
def test_a_reserved_amount_counts_until_it_is_released(events: list[CapEvent], used: str) -> None:
    day = CapDay()
    for event in events:
        day = evolve_cap(day, event)

    assert day == CapDay(Decimal(used), len(events))


@given(st.lists(st.decimals("0.00000001", "1e12", places=8), max_size=40))
def test_the_largest_amounts_add_up_exactly(amounts: list[Decimal]) -> None:
    """Reserving and then releasing all of them leaves exactly 0."""
    day = CapDay()
    for amount in amounts:
        day = evolve_cap(day, reserved(str(amount)))
    for amount in amounts:
        day = evolve_cap(day, share(CapReleased, str(amount)))

    assert day == CapDay(Decimal(0), 2 * len(amounts))


def test_evolve_cap_rejects_an_unknown_event() -> None:
    with pytest.raises(AssertionError):
        evolve_cap(CapDay(), cast("CapEvent", object()))
