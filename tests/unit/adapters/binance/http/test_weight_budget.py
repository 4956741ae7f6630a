"""One budget a host: what is used, and who stays away."""

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
from tests.fakes.manual_clock import ManualClock


def test_used_weight_is_what_the_exchange_last_said() -> None:
    """By what it is counted for; headers in any case, nonsense passed over."""
    budget = WeightBudget(ManualClock())
    budget.record_reply(200, httpx2.Headers({"x-mbx-used-weight-1m": "41"}))
    budget.record_reply(200, httpx2.Headers({"X-SAPI-USED-UID-WEIGHT-1M": "900"}))
    budget.record_reply(200, httpx2.Headers({"X-SAPI-USED-IP-WEIGHT-1M": "2"}))
    budget.record_reply(200, httpx2.Headers({"X-MBX-USED-WEIGHT-1M": "many"}))

    assert budget.used == {"ip": 41, "sapi_uid": 900, "sapi_ip": 2}
    assert budget.blocked_ms() == 0


@pytest.mark.parametrize("status", [418, 429])
async def test_whoever_is_sent_away_keeps_everybody_away(status: int) -> None:
    """For as long as was asked, and the other host is not concerned."""
    clock = ManualClock()
    budgets = weight_budgets(clock)
    budgets[Venue.SPOT].record_reply(status, httpx2.Headers({"Retry-After": "7"}))

    assert budgets[Venue.SPOT].blocked_ms() == 7_000
    assert budgets[Venue.PERP].blocked_ms() == 0
    await clock.advance(6_999)
    assert budgets[Venue.SPOT].blocked_ms() == 1
    await clock.advance(1)
    assert budgets[Venue.SPOT].blocked_ms() == 0


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_nothing_shortens_what_was_asked_before(waits_ms: list[float]) -> None:
    """Replies come in any order."""
    budget = WeightBudget(ManualClock())
    for wait_ms in waits_ms:
        budget.block(wait_ms)

    assert budget.blocked_ms() == max(waits_ms)


@given(st.text())
def test_any_retry_after_is_a_bounded_time(text: str) -> None:
    """Dates, nonsense and eternities included."""
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
    """Whole seconds, or a minute where nothing usable was said."""
    assert retry_after_s({"Retry-After": text}) == wait_s
