"""One budget for each host: used weight and holds."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.http.request_limits import SAPI_IP, SAPI_UID, SPOT_WEIGHT
from chimera_s1.adapters.binance.http.weight_budget import (
    RETRY_AFTER_DEFAULT_S,
    RETRY_AFTER_MAX_S,
    WeightBudget,
    retry_after_s,
    weight_budgets,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.operations.venue_hold import VenueHold
from tests.fakes.manual_clock import ManualClock

FREE = RequestCall("test", Priority.MONEY, ())


async def reply(budget: WeightBudget, status: int, **headers: str) -> None:
    ticket = await budget.admit(FREE)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    budget.settle(ticket, status, httpx2.Headers(named))


async def test_used_weight_is_what_was_reported() -> None:
    """By kind; header names in any case, invalid values ignored."""
    budget = WeightBudget(Venue.SPOT, ManualClock())
    await reply(budget, 200, x_mbx_used_weight_1m="41")
    await reply(budget, 200, X_SAPI_USED_UID_WEIGHT_1M="300")
    await reply(budget, 200, X_SAPI_USED_IP_WEIGHT_1M="2")
    await reply(budget, 200, X_MBX_USED_WEIGHT_1M="many")

    assert budget.requests.used(0) == {SPOT_WEIGHT: 41, SAPI_UID: 300, SAPI_IP: 2}
    assert budget.blocked_ms() == 0


@pytest.mark.parametrize("status", [418, 429])
async def test_a_rate_limit_blocks_every_caller(status: int) -> None:
    """For as long as the reply says, dials too; the other host is not affected."""
    clock = ManualClock()
    holds = {venue: VenueHold() for venue in Venue}
    budgets = weight_budgets(clock, holds)
    await reply(budgets[Venue.SPOT], status, Retry_After="7")

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
    budget = WeightBudget(Venue.SPOT, ManualClock())
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
