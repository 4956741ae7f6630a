"""The rows of the fault matrix about outcomes that are not known, as far as the use cases decide
them.
"""

from decimal import Decimal

import pytest

from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureKind,
    OutcomeUnknown,
    ReviewRequested,
    TransferFailed,
)
from chimera_s1.domain.treasury.reconciliation import IncomeRow
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import Misbehaviour
from tests.treasury_harness import IN, OUT, Instance, World, running, wish
from tests.virtual_time import virtually

MINUTE_MS = 60_000
LONG_MS = 25 * MINUTE_MS
"""Long enough to prove that something is absent."""

UNHEARD = Misbehaviour(executes=True, reply=Unknown("reset"))
LOST = Misbehaviour(reply=Unknown("reset"))


@virtually
async def test_row_29_a_history_ten_minutes_late_delays_the_answer_and_nothing_else() -> None:
    world = World()
    world.exchange.history_lag_ms = world.exchange.income_lag_ms = 10 * MINUTE_MS
    world.exchange.script.append(UNHEARD)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(9 * MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        await world.clock.sleep_ms(3 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert await world.count(OutcomeUnknown) == 1
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()


@virtually
async def test_row_30_the_own_movement_is_found_among_hundreds() -> None:
    world = World()
    for number in range(250):
        world.exchange.move(IN, Decimal(2_000 + number))
    world.exchange.script.append(UNHEARD)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert not world.exchange.script
    assert ended.phase is Phase.DONE
    assert world.exchange.orders.keys() == {ended.tran_id}
    assert not await world.violations()


@virtually
async def test_row_31_reads_that_were_not_whole_prove_nothing() -> None:
    world = World()
    world.exchange.script.append(LOST)
    world.exchange.failure = ExchangeUnavailableError("a page of the history is missing")
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        assert not world.exchange.reads
        world.exchange.failure = None
        clean_from = world.exchange.exchange_ms
        await world.clock.sleep_ms(10 * MINUTE_MS)
    failed = [event for event in await world.events() if isinstance(event, TransferFailed)]

    assert [event.kind for event in failed] == [FailureKind.ABSENT]
    assert min(failed[0].reads) >= clean_from
    assert len(failed[0].reads) >= 3
    assert not await world.violations()


@pytest.mark.parametrize(
    "failure",
    [ExchangeUnavailableError("the host is gone"), ExchangeRefusedError("-2015 may not read")],
)
@virtually
async def test_row_31_histories_that_cannot_be_read_for_long_are_put_before_a_human(
    failure: ChimeraError,
) -> None:
    world = World()
    world.exchange.script.append(LOST)
    world.exchange.failure = failure
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(60 * MINUTE_MS)
        ended = await one.transfer("t1")

        assert one.level() is Level.ORANGE
        assert one.ledger.open.in_review == 1
    reviews = [event for event in await world.events() if isinstance(event, ReviewRequested)]

    assert not world.exchange.reads
    assert ended.phase is Phase.UNKNOWN
    assert [event.cause for event in reviews] == [str(failure)]
    assert not await world.violations()


@virtually
async def test_row_31_a_contradiction_between_the_histories_is_put_before_a_human() -> None:
    world = World()
    world.exchange.script.append(LOST)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        world.exchange.foreign_income.append(IncomeRow(Decimal(10), world.exchange.exchange_ms))
        await world.clock.sleep_ms(60 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert ended.phase is Phase.UNKNOWN
    assert ended.in_review
    assert not await world.violations()


@virtually
async def test_row_32_of_two_unknown_outcomes_alike_the_second_waits_for_the_first() -> None:
    world = World()
    world.exchange.history_lag_ms = world.exchange.income_lag_ms = MINUTE_MS
    world.exchange.script += [UNHEARD, Misbehaviour(executes=True), UNHEARD]
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await one.requests.request(wish("t2"), "tester")
        await one.requests.request(wish("t3", 10, OUT), "tester")
        assert len(world.exchange.sent) == 2, "the other direction does not wait"
        assert (await one.transfer("t2")).phase is Phase.REQUESTED
        await world.clock.sleep_ms(5 * MINUTE_MS)
        first, second = await one.transfer("t1"), await one.transfer("t2")

    assert not world.exchange.script
    assert first.phase is second.phase is Phase.DONE
    assert second.signed_at >= first.finished_at
    own = {order.client_id: tran_id for tran_id, order in world.exchange.orders.items()}
    assert len(own) == 3
    assert not await world.violations()


@virtually
async def test_row_32_the_second_expires_where_the_first_takes_too_long() -> None:
    world = World()
    world.exchange.script.append(LOST)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await one.requests.request(wish("t2"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        first, second = await one.transfer("t1"), await one.transfer("t2")

    assert first.failure is FailureKind.ABSENT
    assert second.failure is FailureKind.EXPIRED
    assert len(world.exchange.sent) == 1
    assert not await world.violations()
