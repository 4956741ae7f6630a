"""What reaches `orders:executed`: each acknowledgement, trade and end, under one event id."""

from decimal import Decimal
from itertools import count

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.relay_executions import build_execution_relay
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.domain.execution.events import (
    OrderAbsent,
    OrderNotSent,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_events import ExecutedOrder, OrderEventKind
from tests.fakes.order_events import MemoryOrderEvents
from tests.unit.domain.execution.test_observation import (
    ALGO,
    ENTRY,
    LIMIT,
    STOP,
    algo_said,
    planned,
    said,
    trade,
)
from tests.virtual_time import LoopClock, on_virtual_time


class Rig:
    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or LoopClock()
        self.store = MemoryEventStore("execution")
        self.cursors = MemoryCursorStore()
        self.events = MemoryOrderEvents()
        self.leader = ""
        self._ids = count()

    def ledger(self) -> ExecutionLedger:
        return ExecutionLedger(
            self.store,
            clock=self.clock,
            new_id=lambda: f"commit-{next(self._ids)}",
            draw=lambda: 0.0,
            report_unknown=lambda _kind, _detail: None,
        )

    def relay(self, ledger: ExecutionLedger, name: str = "") -> LedgerRelay:
        async def is_mine() -> bool:
            return self.leader == name

        return build_execution_relay(
            ledger, self.cursors, self.events, clock=self.clock, is_mine=is_mine
        )


async def relayed(rig: Rig, ledger: ExecutionLedger) -> list[ExecutedOrder]:
    await ledger.refresh()
    relay = rig.relay(ledger)
    while await relay.advance():
        pass
    return rig.events.events


@on_virtual_time
async def test_the_life_of_an_order_is_ack_fills_and_no_end() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.record("test", said("NEW", 0, 10))
    await ledger.record("test", trade("1"), trade("2"), said("FILLED", 2, 30))

    entries = await relayed(rig, ledger)

    assert [each.kind for each in entries] == [
        OrderEventKind.ACK,
        OrderEventKind.FILL,
        OrderEventKind.FILL,
    ]
    ack, first, _ = entries
    assert (ack.client_order_id, ack.status, ack.qty) == (ENTRY, "NEW", LIMIT.body.qty)
    assert (first.source, first.entry_id) == ("s1", planned(LIMIT).entry_id)
    assert first.at_ms == trade("1").at_ms
    assert (first.qty, first.price) == (trade("1").qty, trade("1").price)


@on_virtual_time
async def test_an_end_that_is_also_the_acknowledgement_is_two_entries() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.record("test", said("CANCELED", 0, 10))

    ack, cancel = await relayed(rig, ledger)

    assert (ack.kind, cancel.kind) == (OrderEventKind.ACK, OrderEventKind.CANCEL)
    assert ack.event_id != cancel.event_id


@on_virtual_time
@pytest.mark.parametrize(
    ("conclusion", "reason"),
    [
        (
            OrderRefused(
                client_id=ENTRY, reason=RefusalReason.BALANCE, code=-2019, message="Margin is low."
            ),
            "balance: Margin is low.",
        ),
        (OrderNotSent(client_id=ENTRY, cause="waited 1.2 s"), "not sent: waited 1.2 s"),
        (OrderAbsent(client_id=ENTRY, lookups=3, last_lookup_ms=9), "absent at the exchange"),
    ],
)
async def test_an_order_that_was_never_placed_is_rejected_once(
    conclusion: OrderRefused | OrderNotSent | OrderAbsent, reason: str
) -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.conclude(OrderUnknown(client_id=ENTRY, cause="reset"), "test")
    await ledger.conclude(conclusion, "test")

    (reject,) = await relayed(rig, ledger)

    assert (reject.kind, reject.reason) == (OrderEventKind.REJECT, reason)


@on_virtual_time
async def test_a_trade_of_others_has_no_entry_and_the_exchange_as_its_source() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.record("test", trade("7"))

    (fill,) = await relayed(rig, ledger)

    assert (fill.source, fill.entry_id, fill.kind) == ("exchange", "", OrderEventKind.FILL)
    assert fill.client_order_id == trade("7").client_id


@on_virtual_time
async def test_the_end_of_an_algo_order_is_said_of_the_algo_order() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(ALGO), "test")
    await ledger.record("test", algo_said("NEW", 10), algo_said("CANCELED", 20))

    ack, cancel = await relayed(rig, ledger)

    assert (ack.client_order_id, cancel.client_order_id) == (STOP, STOP)
    assert (cancel.kind, cancel.filled_qty) == (OrderEventKind.CANCEL, Decimal(0))


@on_virtual_time
async def test_a_restarted_relay_repeats_entries_with_the_same_ids() -> None:
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.record("test", said("NEW", 0, 10), trade("1"))
    first = [each.event_id for each in await relayed(rig, ledger)]
    rig.events.events.clear()

    again = [each.event_id for each in await relayed(rig, rig.ledger())]

    assert again == first


@on_virtual_time
async def test_only_the_instance_that_holds_the_lease_relays() -> None:
    rig = Rig(LoopClock())
    one, two = rig.ledger(), rig.ledger()
    relays = {"one": rig.relay(one, "one"), "two": rig.relay(two, "two")}
    await one.plan(planned(LIMIT), "test")
    await one.record("test", said("NEW", 0, 10))
    async with anyio.create_task_group() as tasks:
        for relay in relays.values():
            tasks.start_soon(relay.run)
        for rig.leader in ("one", "two"):
            await rig.clock.sleep_ms(10_000)
        tasks.cancel_scope.cancel()
    assert {name: relay.last_error for name, relay in relays.items()} == {"one": "", "two": ""}
    assert {name: relay.events_relayed for name, relay in relays.items()} == {"one": 1, "two": 1}
    assert len({each.event_id for each in rig.events.events}) == 1


@on_virtual_time
async def test_a_trade_that_turns_out_to_be_ours_is_published_again_as_ours() -> None:
    """The history of trades has no client ids: this one was read before the order's reply."""
    rig = Rig()
    ledger = rig.ledger()
    await ledger.plan(planned(LIMIT), "test")
    await ledger.record("test", replace(trade("1"), client_id=""))
    await ledger.record("test", said("NEW", 0, 10))

    foreign, _ack, ours = await relayed(rig, ledger)

    assert (foreign.kind, foreign.source, foreign.entry_id) == (OrderEventKind.FILL, "exchange", "")
    assert (ours.kind, ours.source) == (OrderEventKind.FILL, "s1")
    assert (ours.entry_id, ours.client_order_id) == (planned(LIMIT).entry_id, ENTRY)
    assert ours.corrects == foreign.event_id != ours.event_id
    assert (ours.qty, ours.price, ours.filled_qty) == (foreign.qty, foreign.price, foreign.qty)
