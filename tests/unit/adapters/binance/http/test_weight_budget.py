"""One budget for each host: used weight and holds."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.http.weight_budget import (
    RETRY_AFTER_DEFAULT_S,
    RETRY_AFTER_MAX_S,
    WeightBudget,
    retry_after_s,
    weight_budgets,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import VenueHold
from tests.fakes.manual_clock import ManualClock


def test_used_weight_is_the_last_one_reported() -> None:
    """By kind; header names in any case, invalid values ignored."""
    budget = WeightBudget(ManualClock())
    budget.record_reply(200, httpx2.Headers({"x-mbx-used-weight-1m": "41"}))
    budget.record_reply(200, httpx2.Headers({"X-SAPI-USED-UID-WEIGHT-1M": "300"}))
    budget.record_reply(200, httpx2.Headers({"X-SAPI-USED-IP-WEIGHT-1M": "2"}))
    budget.record_reply(200, httpx2.Headers({"X-MBX-USED-WEIGHT-1M": "many"}))

    assert budget.used == {"ip": 41, "sapi_uid": 300, "sapi_ip": 2}
    assert budget.blocked_ms() == 0


@pytest.mark.parametrize("status", [418, 429])
async def test_a_rate_limit_blocks_every_caller(status: int) -> None:
    """For as long as the reply says, dials too; the other host is not affected."""
    clock = ManualClock()
    holds = {venue: VenueHold() for venue in Venue}
    budgets = weight_budgets(clock, holds)
    budgets[Venue.SPOT].record_reply(status, httpx2.Headers({"Retry-After": "7"}))

    assert budgets[Venue.SPOT].blocked_ms() == 7_000
    assert holds[Venue.SPOT].dials_wait_ms(0) == 7_000
    assert budgets[Venue.PERP].blocked_ms() == 0
    await clock.advance(6_999)
    assert budgets[Venue.SPOT].blocked_ms() == 1
    await clock.advance(1)
    assert budgets[Venue.SPOT].blocked_ms() == 0


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_a_later_hold_never_shortens_an_earlier_one(waits_ms: list[float]) -> None:
    """Replies come in any order."""
    budget = WeightBudget(ManualClock())
    for wait_ms in waits_ms:
        budget.block(wait_ms, "429")

    assert budget.blocked_ms() == max(waits_ms)


@given(st.text())
def test_any_retry_after_is_bounded(text: str) -> None:
    """Dates, invalid texts and huge numbers included."""
    assert 0 <= retry_after_s({"Retry-After": text}) <= RETRY_AFTER_MAX_S


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0),
        ("12", 12),
        ("999999999", RETRY_AFTER_MAX_S),
        ("", RETRY_AFTER_DEFAULT_S),
        ("-5", RETRY_AFTER_DEFAULT_S),
        ("9" * 5_000, RETRY_AFTER_DEFAULT_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", RETRY_AFTER_DEFAULT_S),
    ],
)
def test_retry_after_is_read(text: str, wait_s: int) -> None:
    """Whole seconds, or a minute where there is no usable value."""
    assert retry_after_s({"Retry-After": text}) == wait_s
