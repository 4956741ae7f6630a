"""The execution ledger: each report is recorded once, whichever instance gets it."""

from decimal import Decimal
from itertools import count

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.ledger.engine import Decision
from chimera_s1.domain.errors import ClientIdUsedError, OtherAccountError
from chimera_s1.domain.execution.event_records import order_stream
from chimera_s1.domain.execution.events import OrderNotSent, OrderUnknown, PositionAdopted
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.position_check import KnownPosition, PositionKey
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.ledger.commit import NewEvent
from tests.fakes.manual_clock import ManualClock
from tests.unit.domain.execution.test_observation import (
    ALGO,
    BTC,
    ENTRY,
    LIMIT,
    STOP,
    algo_said,
    planned,
    said,
    trade,
)

REPORTS = (said("NEW", 0, 10), trade("1"), trade("2"), said("FILLED", 2, 30))


class Rig:
    def __init__(self) -> None:
        self.store = MemoryEventStore("execution")
        self.unknown: list[str] = []
        self._ids = count()

    def ledger(self, state: ExecutionState | None = None) -> ExecutionLedger:
        return ExecutionLedger(
            self.store,
            clock=ManualClock(),
            new_id=lambda: f"commit-{next(self._ids)}",
            draw=lambda: 0.0,
            report_unknown=lambda kind, _: self.unknown.append(kind),
            state=state,
        )

    async def events(self) -> list[str]:
        entries = await self.store.read(0, 1_000)
        return [record.type for entry in entries for record in entry.commit.events]


pytestmark = pytest.mark.anyio


async def test_two_ledgers_on_one_store_record_each_fill_once() -> None:
    rig = Rig()
    one, two = rig.ledger(), rig.ledger()
    await one.plan(planned(LIMIT), "test")
    async with anyio.create_task_group() as tasks:
        for report in REPORTS:
            tasks.start_soon(one.record, "one", report)
            tasks.start_soon(two.record, "two", report)
    await one.record("one", *REPORTS)
    await one.engine.catch_up()
    await two.engine.catch_up()
    assert (await rig.events()).count("execution.fill.recorded") == 2
    assert one.state.orders[ENTRY] == two.state.orders[ENTRY]
    assert one.state.orders[ENTRY].phase is OrderPhase.CLOSED


async def test_concurrent_reports_share_a_commit() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(ledger.record, "test", trade(str(number)))
    assert ledger.state.orders[ENTRY].fills.count == 50
    assert ledger.head.seq <= 4


async def test_an_id_is_planned_once_even_if_its_order_has_left_memory() -> None:
    rig = Rig()
    ledger = rig.ledger(ExecutionState(ended_orders_max=0))
    await ledger.plan(planned(LIMIT), "test")
    await ledger.conclude(OrderNotSent(client_id=ENTRY, cause="late"), "test")
    assert not ledger.state.orders
    with pytest.raises(ClientIdUsedError):
        await ledger.plan(planned(LIMIT), "test")


async def test_a_trade_that_has_left_memory_is_not_recorded_again() -> None:
    rig = Rig()
    ledger = rig.ledger(ExecutionState(fills_max=1))
    await ledger.record("test", trade("1"), trade("2"))
    await ledger.record("test", trade("1"), trade("2"))
    assert len(await rig.events()) == 2


async def test_a_conclusion_that_comes_after_the_evidence_is_not_recorded() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.record("test", said("NEW", 0, 10))
    order = await ledger.conclude(OrderUnknown(client_id=ENTRY, cause="timeout"), "test")
    assert order.phase is OrderPhase.ACKNOWLEDGED
    assert ledger.head.seq == 2


async def test_an_order_with_our_prefix_that_is_not_in_the_ledger_is_reported_once() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.record("test", said("NEW", 0, 10))
    await ledger.record("test", said("FILLED", 2, 30))
    assert rig.unknown == ["execution.order_unknown"]
    assert ledger.head.seq == 0


async def test_a_report_that_no_store_can_keep_costs_only_itself() -> None:
    """Its worker would die of it, and the service with the worker."""
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    impossible = replace(trade("2"), at_ms=2**64)
    await ledger.record("test", said("NEW", 0, 10), impossible, trade("1"))
    await ledger.record("test", impossible)

    assert [key.trade_id for key in ledger.state.fills] == ["1"]
    assert ledger.state.orders[ENTRY].status == "NEW"
    assert rig.unknown == ["execution.report_unusable"]


async def test_an_order_of_a_newer_version_does_not_hold_up_the_others() -> None:
    """After a step back to this version: its order waits for the newer one, fills are recorded."""
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")

    async def newer() -> Decision[None]:
        return Decision(None, (NewEvent(order_stream(ENTRY), "order.invented", 1, {}),))

    await ledger.engine.execute(newer, "newer version")
    foreign = replace(trade("9", "77", "s4-1"), symbol="ETHUSDT")
    await ledger.record("test", said("NEW", 0, 10), foreign)

    assert [key.trade_id for key in ledger.state.fills] == ["9"]
    assert ledger.state.orders[ENTRY].status == ""
    assert rig.unknown == ["execution.report_unusable"]


async def test_a_waiter_wakes_when_its_order_changes() -> None:
    rig = Rig()
    ledger = rig.ledger()
    seen = await ledger.plan(planned(LIMIT), "test")
    found = []

    async def wait() -> None:
        found.append(await ledger.wait_changed(ENTRY, ledger.state.orders[ENTRY], 60_000))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        await ledger.record("test", trade("1"))
    assert seen.filled_qty == 0
    (order,) = found
    assert order is not None
    assert order.filled_qty == Decimal(1)


async def test_a_late_trade_of_an_order_that_has_left_memory_is_recorded() -> None:
    """The exchange never said that order 8 is the child of the stop, only its client id did."""
    rig = Rig()
    ledger = rig.ledger(ExecutionState(ended_orders_max=0))
    await ledger.plan(planned(ALGO), "test")
    await ledger.record("test", trade("1", "8", STOP))
    await ledger.record("test", algo_said("CANCELED", 20))
    assert not ledger.state.orders
    await ledger.record("test", trade("2", "8", STOP))
    assert (await rig.events()).count("execution.fill.recorded") == 2
    entry = (await rig.store.read(3, 1))[0]
    assert [record.data["client_id"] for record in entry.commit.events] == [STOP]


async def test_two_ledgers_adopt_a_position_once() -> None:
    rig = Rig()
    one, two = rig.ledger(), rig.ledger()
    seen = PositionAdopted(
        symbol=BTC, position_side="BOTH", qty=Decimal(5), known_qty=Decimal(0), at_ms=10
    )
    assert await one.adopt(seen, KnownPosition(), "one")
    assert not await two.adopt(seen, KnownPosition(), "two")
    assert two.state.positions.positions == {
        PositionKey(BTC, "BOTH"): KnownPosition(Decimal(5), adoptions=1)
    }


async def test_the_first_event_binds_the_ledger_to_the_account_of_the_key() -> None:
    rig = Rig()
    one = rig.ledger()
    one.use_account("live:1")
    await one.plan(planned(LIMIT), "test")
    await one.record("test", *REPORTS)

    assert one.state.account == "live:1"
    assert (await rig.events()).count("execution.account.bound") == 1
    assert (await rig.events())[0] == "execution.account.bound"


async def test_a_key_that_was_used_for_nothing_binds_nothing() -> None:
    rig = Rig()
    rig.ledger().use_account("live:1")
    other = rig.ledger()
    other.use_account("live:2")
    await other.record("test", trade("1"))
    assert other.state.account == "live:2"


async def test_a_ledger_of_another_account_takes_nothing() -> None:
    """Whether it was read before the key is used, or is read when something is recorded."""
    rig = Rig()
    one = rig.ledger()
    one.use_account("live:1")
    await one.plan(planned(LIMIT), "test")
    before = await rig.events()

    late = rig.ledger()
    late.use_account("live:2")
    with pytest.raises(OtherAccountError, match="account live:1, and the exchange key to account"):
        await late.plan(planned(ALGO), "test")
    with pytest.raises(OtherAccountError):
        await late.record("test", said("NEW", 0, 10))
    with pytest.raises(OtherAccountError):
        await late.conclude(OrderUnknown(client_id=ENTRY, cause="lost"), "test")
    with pytest.raises(OtherAccountError):
        late.use_account("live:2")

    assert await rig.events() == before
    late.use_account("live:1")
    await late.record("test", *REPORTS)
    assert late.state.orders[ENTRY].phase is OrderPhase.CLOSED
