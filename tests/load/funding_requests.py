"""How many requests funding needs, and how long within the exchange's limits: `make bench-funding`.

On virtual time, with the service's own budget of requests. A tenth of 930 contracts on pages of 100
rows instead of 1,000 are as many pages.
"""

import sys
from functools import partial

from chimera_s1.adapters.binance.http.request_limits import funding_request
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.funding_source import RatePage
from tests.load.report import say
from tests.unit.app.capabilities.funding.funding_rig import ExchangeOfClock, FundingRig
from tests.unit.app.capabilities.funding.test_requests_of_a_day import (
    SCALE,
    contracts,
    proven_rig,
    run_a_day,
)
from tests.virtual_time import LoopClock, run_on_virtual_time

PAGE_ROWS = 1_000 // SCALE
CALL = RequestCall("funding.rates", Priority.BACKFILL, funding_request(), patience_ms=6 * 60_000)


class LimitedExchange(ExchangeOfClock):
    """Each read of rates waits for the budget."""

    budget: WeightBudget

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        ticket = await self.budget.admit(CALL)
        page = await super().rates(start, end, symbol)
        self.budget.settle(ticket, 200, {})
        return page


async def print_a_day() -> None:
    hours = contracts(SCALE)
    rig = await proven_rig(hours, page_rows=PAGE_ROWS)
    await run_a_day(rig, hours)
    requests = rig.exchange.requests
    say(f"a normal day: {requests['rates']} requests for rates, {requests['income']} for income")


async def print_a_backfill(days: int, instances: int) -> None:
    clock = LoopClock()
    rig = FundingRig(contracts(SCALE), history_days=days, exchange=LimitedExchange)
    assert isinstance(rig.exchange, LimitedExchange)
    rig.exchange.page_rows = PAGE_ROWS
    holds = {venue: VenueHold() for venue in Venue}
    rig.exchange.budget = weight_budgets(clock, holds, instances)[Venue.PERP]
    began_ms = clock.monotonic_ms()
    while (await rig.backfills.run()).again_ms is not None:
        pass
    minutes = (clock.monotonic_ms() - began_ms) / 60_000
    requests = rig.exchange.requests.total()
    say(
        f"{days} days, {instances} instance(s): {requests} requests in {minutes:.1f} min, "
        f"{len(rig.store.records) * SCALE} rows"
    )


def main() -> None:
    say("Requests of 930 contracts, virtual time")
    run_on_virtual_time(print_a_day)
    for instances in (1, 2):
        for days in (30, 90):
            run_on_virtual_time(partial(print_a_backfill, days, instances))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
