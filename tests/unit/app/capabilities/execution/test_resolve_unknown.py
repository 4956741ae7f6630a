"""Orders with an unknown outcome are looked up until it is certain, also after a crash."""

from collections.abc import Callable

import pytest

from chimera_s1.domain.errors import ExchangeUnavailableError, OtherAccountError
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.tracked_order import OrderPhase
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.order_gateway import (
    OrderReply,
    OutcomeUnknown,
    RequestRefused,
    SignedRequest,
)
from tests.execution_harness import (
    ENTRY,
    STOP,
    ExecutionHarness,
    ExecutionInstance,
    KillingStore,
    ProcessKilledError,
    entry,
    running,
    stop,
)
from tests.fakes.order_exchange import FakeOrderExchange, Handling
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
LOST = OutcomeUnknown(cause="connection reset")
UNAVAILABLE = OutcomeUnknown(cause="503 without a code")


@on_virtual_time
async def test_a_lost_reply_of_an_order_that_was_placed() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        placed = await one.place(entry())
        await world.clock.sleep_ms(1_000)
        assert placed.order.phase is OrderPhase.UNKNOWN
        assert one.order().phase is OrderPhase.ACKNOWLEDGED
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_a_lost_request_is_absent_but_not_before_the_request_is_dead() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(6_900)
        assert one.resolver.lookups["not_found"] >= 3
        assert one.order().phase is OrderPhase.UNKNOWN
        await world.clock.sleep_ms(2_000)
        assert one.order().phase is OrderPhase.ABSENT
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_late_execution_is_found_although_queries_lag() -> None:
    """Executed at the end of the receive window, and visible 4 s later."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(after_ms=1_900, visible_after_ms=4_000, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(10_000)
        assert one.order().phase is OrderPhase.ACKNOWLEDGED
    assert "execution.order.absent" not in await world.event_types()


@pytest.mark.parametrize("heard", [True, False], ids=["stream", "lookup"])
@on_virtual_time
async def test_503_then_filled_a_minute_later(*, heard: bool) -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(after_ms=MINUTE_MS, reply=UNAVAILABLE))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(MINUTE_MS - 100)
        assert one.order().phase is OrderPhase.ABSENT
        await world.clock.sleep_ms(200)
        events = world.exchange.fill(ENTRY, "2", "t1")
        if heard:
            one.streams[Venue.PERP].send(*events)
            await world.clock.sleep_ms(100)
        else:
            await world.clock.sleep_ms(MINUTE_MS)
        assert one.order().phase is OrderPhase.CLOSED
        assert one.order().filled_qty == 2
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_503_then_filled_while_no_service_ran() -> None:
    """It starts again when nothing is looked up any more, but the last lookup was too early."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(after_ms=MINUTE_MS, reply=UNAVAILABLE))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(MINUTE_MS / 2)
        assert one.order().phase is OrderPhase.ABSENT
    await world.clock.sleep_ms(10 * MINUTE_MS)
    world.exchange.fill(ENTRY, "2", "t1")
    async with running(ExecutionInstance(world)) as two:
        await world.clock.sleep_ms(MINUTE_MS)
        assert two.order().phase is OrderPhase.CLOSED
        assert two.order().filled_qty == 2
    assert len(world.exchange.sent) == 1


@on_virtual_time
async def test_every_absent_order_is_watched_although_many_are() -> None:
    world = ExecutionHarness()
    lost = [f"s1-lost-{number}" for number in range(20)]
    world.exchange.handling += [Handling(executes=False, reply=UNAVAILABLE) for _ in lost]
    world.exchange.handling.append(Handling(after_ms=MINUTE_MS, reply=UNAVAILABLE))
    async with running(ExecutionInstance(world)) as one:
        for name in (*lost, ENTRY):
            await one.place(entry(name))
        await world.clock.sleep_ms(2 * MINUTE_MS)
        assert one.order().phase is OrderPhase.ACKNOWLEDGED
        await world.clock.sleep_ms(10 * MINUTE_MS)
        lookups = one.resolver.lookups.total()
        await world.clock.sleep_ms(10 * MINUTE_MS)
        assert one.resolver.lookups.total() == lookups, "the absent ones are left at last"


@on_virtual_time
async def test_an_algo_id_asked_among_normal_orders_is_not_a_rejection() -> None:
    """The order is asked for where it can be known, and -2013 never ends an order."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(visible_after_ms=3_000, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(stop())
        await world.clock.sleep_ms(2_000)
        assert one.resolver.lookups["not_found"] > 0
        assert one.order(STOP).phase is OrderPhase.UNKNOWN
        await world.clock.sleep_ms(3_000)
        assert one.order(STOP).phase is OrderPhase.ACKNOWLEDGED
        assert {ref.family for ref in world.exchange.found} == {OrderFamily.PERP_ALGO}
        # Its child is asked for among normal orders, before a query can show it.
        world.exchange.trigger(STOP).visible_ms += 10_000
        await world.clock.sleep_ms(5_000)
        assert one.queries.not_found > 0
        assert one.order(STOP).phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_a_refused_duplicate_is_looked_up() -> None:
    world = ExecutionHarness()
    refused = RequestRefused(
        reason=RefusalReason.DUPLICATE_ID, code=-4116, message="ClientOrderId is duplicated."
    )
    world.exchange.handling.append(Handling(reply=refused))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(1_000)
        assert one.order().phase is OrderPhase.ACKNOWLEDGED


@on_virtual_time
async def test_lookups_that_fail_prove_nothing() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    world.exchange.find_error = ExchangeUnavailableError("no reply within 5 s")
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(MINUTE_MS)
        assert one.order().phase is OrderPhase.UNKNOWN
        health = one.health.report()
        assert health.level is Level.ORANGE
        assert ENTRY in health.sentence
        assert "no reply within 5 s" in health.sentence
        world.exchange.find_error = None
        await world.clock.sleep_ms(MINUTE_MS)
        assert one.order().phase is OrderPhase.ABSENT
        assert one.health.report().level is Level.GREEN


@on_virtual_time
async def test_nothing_is_absent_while_the_exchange_clock_is_unknown() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        world.exchange_clock_known = False
        await world.clock.sleep_ms(MINUTE_MS)
        assert one.order().phase is OrderPhase.UNKNOWN


@on_virtual_time
async def test_an_order_in_flight_is_not_looked_up() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=9_000))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        assert not world.exchange.found
        assert not one.resolver.unresolved()


@on_virtual_time
async def test_another_instance_does_not_end_an_order_in_flight() -> None:
    """It looks the planned order up, and finds it; the reply comes later, and changes nothing."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(reply_after_ms=9_000))
    async with running(ExecutionInstance(world)) as one, running(ExecutionInstance(world)) as two:
        await one.place(entry())
        assert two.resolver.lookups["found"] == 1
        await world.clock.sleep_ms(2_000)
        assert one.order() == two.order()
    types = await world.event_types()
    assert types == ["execution.order.planned", "execution.order.updated"]


class KillingExchange(FakeOrderExchange):
    """The process dies before the request arrives, or before its reply does."""

    def __init__(self, world: ExecutionHarness, *, arrives: bool) -> None:
        super().__init__(world.clock)
        self.books = world.exchange.books
        self.sent = world.exchange.sent
        self.killed = False
        self._arrives = arrives

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        if self._arrives:
            await super().send_order(signed, obstacle)
        self.killed = True
        raise ProcessKilledError


@pytest.mark.parametrize(
    ("step", "stored", "arrived"),
    [
        ("before plan", False, False),
        ("after plan", True, False),
        ("before send", True, False),
        ("after send", True, True),
        ("before conclude", True, True),
        ("after conclude", True, True),
    ],
)
@on_virtual_time
async def test_a_crash_between_each_two_steps(step: str, *, stored: bool, arrived: bool) -> None:
    """The next process finds out what became of the order, and sends nothing."""
    world = ExecutionHarness()
    store = KillingStore(world.store)
    store.kill_before = {"before plan": 1, "before conclude": 2}.get(step, 0)
    store.kill_after = {"after plan": 1, "after conclude": 2}.get(step, 0)
    exchange = world.exchange
    if step in {"before send", "after send"}:
        exchange = KillingExchange(world, arrives=step == "after send")
    dying = ExecutionInstance(world, store=store, gateway=exchange)
    with pytest.raises(ProcessKilledError):
        await dying.place(entry())
    assert store.killed or getattr(exchange, "killed", False)
    assert len(world.exchange.sent) == arrived

    async with running(ExecutionInstance(world)) as two:
        await world.clock.sleep_ms(MINUTE_MS)
        order = two.ledger.state.orders.get(ENTRY)
        if not stored:
            assert order is None
            assert (await two.place(entry())).order.phase is OrderPhase.ACKNOWLEDGED
            return
        assert order is not None
        assert order.phase is (OrderPhase.ACKNOWLEDGED if arrived else OrderPhase.ABSENT)
        assert len(world.exchange.sent) == arrived


@on_virtual_time
async def test_a_restart_in_the_middle_of_the_lookups() -> None:
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    async with running(ExecutionInstance(world)) as one:
        await one.place(entry())
        await world.clock.sleep_ms(5_000)
    async with running(ExecutionInstance(world)) as two:
        await world.clock.sleep_ms(10_000)
        assert two.order().phase is OrderPhase.ABSENT
        assert two.resolver.lookups["not_found"] >= 3


@on_virtual_time
async def test_many_unknown_orders_are_looked_up_a_few_at_a_time() -> None:
    world = ExecutionHarness()
    names = [f"s1-many-{number}" for number in range(40)]
    world.exchange.handling += [Handling(reply=LOST) for _ in names]
    async with running(ExecutionInstance(world)) as one:
        for name in names:
            await one.place(entry(name))
        await world.clock.sleep_ms(5_000)
        assert {one.order(name).phase for name in names} == {OrderPhase.ACKNOWLEDGED}
        assert all(one.order(name).exchange_id for name in names)


@on_virtual_time
async def test_orders_of_a_venue_that_is_not_served_are_left_alone() -> None:
    """And are said: their outcome stays unknown."""
    world = ExecutionHarness()
    world.exchange.handling += [Handling(), Handling(reply=LOST)]
    await ExecutionInstance(world).place(entry("s1-working"))
    await ExecutionInstance(world).place(entry())
    async with running(ExecutionInstance(world, venues=(Venue.SPOT,))) as two:
        await world.clock.sleep_ms(MINUTE_MS)
        assert not world.exchange.found
        assert ENTRY in two.health.report().sentence


@on_virtual_time
async def test_no_order_becomes_absent_at_another_account() -> None:
    """After a restart with a key of another account: there, no order of the ledger exists."""
    world = ExecutionHarness()
    world.exchange.handling.append(Handling(executes=False, reply=LOST))
    one = ExecutionInstance(world)
    one.ledger.use_account("live:1")
    await one.place(entry())

    async with running(ExecutionInstance(world)) as two:
        with pytest.raises(OtherAccountError):
            two.ledger.use_account("live:2")
        await world.clock.sleep_ms(MINUTE_MS)
        assert two.resolver.lookups["not_found"] >= 3
        assert two.order().phase is OrderPhase.UNKNOWN
        report = two.health.report()
        assert report.level is Level.RED
        assert report.sentence.startswith("the execution ledger belongs to account live:1")
    assert "execution.order.absent" not in await world.event_types()
