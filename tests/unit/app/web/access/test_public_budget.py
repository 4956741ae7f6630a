"""The budget of requests without a token."""

import pytest

from chimera_s1.app.web.access.public_budget import (
    CONNECTIONS_KEPT,
    OF_A_CONNECTION,
    OF_ALL,
    PAUSE_MS,
    PublicBudget,
    PublicRateError,
)
from tests.fakes.manual_clock import ManualClock

GREEDY = ("192.0.2.1", 1)
SCRAPER = ("192.0.2.1", 2)


def answered(budget: PublicBudget, peer: tuple[str, int], requests: int) -> int:
    """How many of *requests*, sent at once, are answered."""
    refused = sum(budget.is_spent(peer) for _ in range(requests))
    return requests - refused


async def test_a_connection_has_a_burst_and_a_rate() -> None:
    clock = ManualClock()
    budget = PublicBudget(clock)

    assert answered(budget, GREEDY, 1_000) == OF_A_CONNECTION.burst
    assert budget.refused == 1_000 - OF_A_CONNECTION.burst
    await clock.advance(100)
    assert answered(budget, GREEDY, 1_000) == OF_A_CONNECTION.per_s / 10
    with pytest.raises(PublicRateError, match="this connection sends more requests") as caught:
        budget.take(GREEDY)
    assert caught.value.retry_after_s == 1


async def test_all_connections_share_a_budget() -> None:
    """Above it each connection has one answer, not more."""
    budget = PublicBudget(ManualClock())

    counts = [answered(budget, ("192.0.2.1", port), 100) for port in range(100)]

    assert counts[: OF_ALL.burst // 100] == [100] * (OF_ALL.burst // 100)
    assert set(counts[OF_ALL.burst // 100 :]) == {1}
    with pytest.raises(PublicRateError, match="clients send more requests"):
        budget.take(("192.0.2.1", 99))


async def test_a_scraper_and_a_health_check_are_answered_whatever_others_do() -> None:
    """Once in `PAUSE_MS` on a connection that stays, and each time on a new one."""
    clock = ManualClock()
    budget = PublicBudget(clock)
    budget.take(SCRAPER)

    for second in range(1, 20):
        for step in range(2):
            await clock.advance(PAUSE_MS)
            for port in range(100, 150):
                answered(budget, ("192.0.2.1", port), 50)
            if step:
                budget.take(SCRAPER)
        budget.take(("192.0.2.1", 1_000 + second))

    assert budget.refused > 10_000


async def test_connections_of_long_ago_are_forgotten() -> None:
    """Memory does not grow with the number of connections; the one that asks is kept."""
    budget = PublicBudget(ManualClock())
    answered(budget, GREEDY, 1_000)

    for port in range(3 * CONNECTIONS_KEPT):
        budget.is_spent(("192.0.2.2", port))
        assert budget.is_spent(GREEDY)

    assert len(budget._asked) <= CONNECTIONS_KEPT
