"""Orders from the execution ledger, newest first, and the history of one."""

from decimal import Decimal
from itertools import count

import pytest
from msgspec.structs import replace

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.list_orders import (
    list_newest_orders,
    read_order_history,
)
from chimera_s1.app.capabilities.execution.order_text import describe_event
from chimera_s1.domain.execution.events import OrderNotSent
from chimera_s1.domain.execution.tracked_order import OrderPhase
from tests.fakes.manual_clock import ManualClock
from tests.unit.domain.execution.test_observation import ENTRY, LIMIT, planned, said, trade

OTHER = "s1-other-e"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> MemoryEventStore:
    """An order with a trade that no report has counted yet, one that was not sent, and a trade of
    somebody else.
    """
    store, numbers = MemoryEventStore("execution"), count()
    ledger = ExecutionLedger(
        store,
        clock=ManualClock(),
        new_id=lambda: f"commit-{next(numbers)}",
        draw=lambda: 0.0,
        report_unknown=lambda *_: None,
    )
    await ledger.plan(planned(LIMIT), "s4")
    await ledger.record("s1/stream", said("NEW", 0, 10))
    await ledger.plan(planned(replace(LIMIT, client_id=OTHER)), "s4")
    await ledger.conclude(OrderNotSent(client_id=OTHER, cause="it waited too long"), "s1")
    await ledger.record("s1/stream", trade("1"), trade("9", "8", "web_1"))
    return store


async def test_the_newest_orders_come_first_with_their_trades(store: MemoryEventStore) -> None:
    other, entry = await list_newest_orders(store, 10)

    assert (other.order.client_id, other.order.phase) == (OTHER, OrderPhase.NOT_SENT)
    assert (entry.order.client_id, entry.actor) == (ENTRY, "s4")
    assert (entry.order.status, entry.order.filled_qty) == ("NEW", Decimal(1))


async def test_a_listing_is_limited_and_may_leave_out_what_has_ended(
    store: MemoryEventStore,
) -> None:
    [newest] = await list_newest_orders(store, 1)
    [opened] = await list_newest_orders(store, 10, only_open=True)

    assert (newest.order.client_id, opened.order.client_id) == (OTHER, ENTRY)


async def test_the_history_of_an_order_has_its_trades_and_no_others(
    store: MemoryEventStore,
) -> None:
    history = await read_order_history(store, ENTRY)

    assert history is not None
    assert history.order.filled_qty == 1
    plan, acknowledged, fill = [describe_event(each.event) for each in history.entries]
    assert plan.startswith("signed, about to be sent once: LIMIT 2 at 100 GTC, entry entry;")
    assert acknowledged == "acknowledged: NEW filled 0, by stream, exchange id 7"
    assert fill == "trade 1: 1 at 100, commission 0.04 USDT"
    assert [each.seq for each in history.entries] == [1, 2, 5]
    assert await read_order_history(store, "s1-unused-e") is None
