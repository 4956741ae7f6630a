"""Weight is counted per minute of the exchange's clock; clients that ignore 429 are banned."""

import pytest

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.rest.weight_limit import REFUSALS_BEFORE_BAN, WeightLimit

MINUTE = 60_000


class Wall:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.ms = 20_000 * MINUTE + 15_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def wall() -> Wall:
    return Wall()


def test_weight_beyond_the_limit_is_429_until_the_next_minute(wall: Wall) -> None:
    limit = WeightLimit(100, ScaledClock(wall))

    assert limit.spend(100) is None
    refused = limit.spend(1)
    wall.ms += 45_000

    assert refused is not None
    assert (refused.status, refused.retry_after_s) == (429, 45)
    assert limit.spend(1) is None
    assert limit.used == 1


def test_a_client_that_ignores_429_is_banned_for_two_minutes(wall: Wall) -> None:
    limit = WeightLimit(1, ScaledClock(wall))
    limit.spend(1)

    statuses = [
        refusal.status for _ in range(REFUSALS_BEFORE_BAN + 1) if (refusal := limit.spend(1))
    ]
    wall.ms += 119_000
    still = limit.spend(1)
    wall.ms += 1_000

    assert statuses == [429] * REFUSALS_BEFORE_BAN + [418]
    assert still is not None
    assert (still.status, still.retry_after_s) == (418, 1)
    assert limit.spend(1) is None
