"""What requests of orders and of the account spend, and which of them go first."""

from typing import NoReturn

import anyio
import httpx2
import pytest

from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.orders import request_calls
from chimera_s1.domain.errors import RequestNotAdmittedError
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_budget import RequestCall
from tests.fakes.manual_clock import ManualClock, settle

READS = {
    Venue.SPOT: (
        request_calls.FIND[Venue.SPOT],
        request_calls.SPOT_OPEN_ORDERS,
        request_calls.SPOT_OPEN_LISTS,
        request_calls.SPOT_ACCOUNT,
        request_calls.TRADES[Venue.SPOT],
        request_calls.TRADES_OF_ORDER[Venue.SPOT],
    ),
    Venue.PERP: (
        request_calls.FIND[Venue.PERP],
        request_calls.PERP_OPEN_ORDERS,
        request_calls.PERP_ACCOUNT,
        request_calls.TRADES[Venue.PERP],
        request_calls.TRADES_OF_ORDER[Venue.PERP],
    ),
}
SENT = {
    venue: (
        *(call for family, call in request_calls.PLACE.items() if family.venue is venue),
        request_calls.CANCEL[venue],
    )
    for venue in Venue
}


async def flood(budget: WeightBudget, call: RequestCall) -> NoReturn:
    """Send *call* until there is no room for it; no reply reports anything."""
    while True:
        budget.settle(await budget.admit(call), 200, httpx2.Headers())


async def ask_for_ever(budget: WeightBudget, call: RequestCall) -> NoReturn:
    """Send *call* until there is no room for it; no reply comes."""
    while True:
        await budget.admit(call)


@pytest.mark.parametrize("venue", list(Venue))
async def test_reads_leave_room_for_orders_and_cancels(venue: Venue) -> None:
    """However much is queried and reconciled: a stop or a cancel never finds the budget empty."""
    budget = WeightBudget(venue, ManualClock())
    for call in READS[venue]:
        with pytest.raises(RequestNotAdmittedError):
            await flood(budget, call)
    for call in SENT[venue]:
        await budget.admit(call)


@pytest.mark.parametrize("venue", list(Venue))
async def test_orders_and_cancels_pass_reads_that_wait(venue: Venue) -> None:
    """They are signed already, and cannot wait behind one."""
    budget = WeightBudget(venue, ManualClock())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_for_ever, budget, request_calls.FIND[venue])
        await settle()
        assert budget.requests.waiting == 1
        for call in SENT[venue]:
            await budget.admit(call)
        tasks.cancel_scope.cancel()


def test_each_leg_of_a_list_counts_as_an_order() -> None:
    weights = {
        family: {charge.bucket: charge.weight for charge in call.charges}
        for family, call in request_calls.PLACE.items()
    }
    one, both = weights[OrderFamily.SPOT_ORDER], weights[OrderFamily.SPOT_LIST]
    assert {name: 2 * weight for name, weight in one.items() if "orders" in name} == {
        name: weight for name, weight in both.items() if "orders" in name
    }
