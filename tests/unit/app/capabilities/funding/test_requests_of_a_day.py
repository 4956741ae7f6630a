"""All jobs together need few requests: they share 500 in 5 minutes with everything else."""

from collections.abc import Awaitable, Callable, Mapping

from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS
from tests.unit.app.capabilities.funding.funding_rig import FundingRig
from tests.virtual_time import on_virtual_time

REQUESTS_MAX = 300
HISTORY_DAYS = 90
SCALE = 10
"""A tenth of the contracts on pages of a tenth of the rows are as many pages."""


def contracts(scale: int = 1) -> Mapping[str, int]:
    """930 contracts by interval, as in November 2026: most settle every 4 hours."""
    hours = [8] * (250 // scale) + [4] * (640 // scale) + [1] * (40 // scale)
    return {f"S{number:03}USDT": each for number, each in enumerate(hours)}


async def run_a_day(rig: FundingRig, hours: Mapping[str, int]) -> None:
    """What the jobs do in 24 hours, at their times."""
    timetable: dict[int, Callable[[], Awaitable[object]]] = {
        2 * HOUR_MS + 40 * MINUTE_MS: rig.backfills.run,
        3 * HOUR_MS + 40 * MINUTE_MS: rig.completions.reread_slice,
        **dict.fromkeys(
            [hour * HOUR_MS + 20 * MINUTE_MS for hour in (0, 8, 16)],
            rig.completions.complete_recent,
        ),
        **dict.fromkeys([hour * HOUR_MS + 500 for hour in range(24)], rig.settle.settle),
    }
    midnight = (rig.clock.now_ms() // DAY_MS + 1) * DAY_MS
    for time_ms, run in sorted(timetable.items()):
        await rig.clock.sleep_ms(midnight + time_ms - rig.clock.now_ms())
        hour = rig.clock.now_ms() // HOUR_MS * HOUR_MS
        if run == rig.settle.settle:
            for symbol, interval in hours.items():
                if hour % (interval * HOUR_MS) == 0:
                    rig.settle.on_settled(Symbol(symbol), hour)
        await run()
        assert rig.settle.waiting == 0


async def proven_rig(hours: Mapping[str, int], *, page_rows: int) -> FundingRig:
    """Its history is proven up to now; each rate is published 5 s after its settlement."""
    rig = FundingRig(hours, history_days=HISTORY_DAYS)
    rig.exchange.lag_ms, rig.exchange.page_rows = 5_000, page_rows
    rig.exchange.account_name = "live:1"
    midnight = (rig.clock.now_ms() // DAY_MS + 1) * DAY_MS
    await rig.clock.sleep_ms(midnight - MINUTE_MS - rig.clock.now_ms())
    now = rig.clock.now_ms()
    await rig.store.extend_coverage(
        [
            RateCoverage(
                symbol=Symbol(symbol),
                verified_from=now - (HISTORY_DAYS + 1) * DAY_MS,
                verified_through=now - HOUR_MS,
            )
            for symbol in hours
        ]
    )
    await rig.store.extend_amount_coverage(
        AmountCoverage(
            account="live:1",
            verified_from=now - (HISTORY_DAYS + 1) * DAY_MS,
            verified_through=now - HOUR_MS,
        )
    )
    return rig


@on_virtual_time
async def test_a_normal_day_needs_fewer_requests_than_allowed() -> None:
    hours = contracts(SCALE)
    rig = await proven_rig(hours, page_rows=1_000 // SCALE)
    await run_a_day(rig, hours)
    assert rig.exchange.requests.total() < REQUESTS_MAX, rig.exchange.requests
    assert len(rig.delays) >= sum(24 // interval for interval in hours.values())
