"""One budget for each host: who is admitted, who waits, used weight and holds."""

from collections.abc import AsyncIterator

import anyio
import httpx2
import msgspec
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.http.request_limits import (
    FUTURES_FUNDING,
    SAPI_IP,
    SAPI_UID,
    SPOT_WEIGHT,
    funding_request,
    read_rate_limits,
    sapi_uid_weight,
)
from chimera_s1.adapters.binance.http.weight_budget import (
    RETRY_AFTER_DEFAULT_S,
    RETRY_AFTER_MAX_S,
    WeightBudget,
    retry_after_s,
    weight_budgets,
)
from chimera_s1.domain.errors import RequestNotAdmittedError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import LimitSource, Priority
from chimera_s1.domain.operations.request_budget import (
    QUEUE_MAX,
    RequestCall,
    RequestOutcome,
    Ticket,
)
from chimera_s1.domain.operations.venue_hold import HoldReason, VenueHold
from tests.fakes.manual_clock import ManualClock, settle


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    """Ended with the test."""
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


FREE = RequestCall("test", Priority.MONEY, ())


async def reply(budget: WeightBudget, status: int, **headers: str) -> None:
    ticket = await budget.admit(FREE)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    budget.settle(ticket, status, httpx2.Headers(named))


async def test_used_weight_is_what_was_reported() -> None:
    """By kind; header names in any case, invalid values ignored."""
    budget = WeightBudget(Venue.SPOT, ManualClock())
    await reply(budget, 200, x_mbx_used_weight_1m="41")
    await reply(budget, 200, X_SAPI_USED_UID_WEIGHT_1M="300")
    await reply(budget, 200, X_SAPI_USED_IP_WEIGHT_1M="2")
    await reply(budget, 200, X_MBX_USED_WEIGHT_1M="many")

    assert budget.requests.used(0) == {SPOT_WEIGHT: 41, SAPI_UID: 300, SAPI_IP: 2}
    assert budget.blocked_ms() == 0


@pytest.mark.parametrize("status", [418, 429])
async def test_a_rate_limit_blocks_every_caller(status: int) -> None:
    """For as long as the reply says, dials too; the other host is not affected."""
    clock = ManualClock()
    holds = {venue: VenueHold() for venue in Venue}
    budgets = weight_budgets(clock, holds)
    await reply(budgets[Venue.SPOT], status, Retry_After="7")

    assert budgets[Venue.SPOT].blocked_ms() == 7_000
    assert holds[Venue.SPOT].dials_wait_ms(0) == 7_000
    assert budgets[Venue.PERP].blocked_ms() == 0
    await clock.advance(6_999)
    assert budgets[Venue.SPOT].blocked_ms() == 1
    await clock.advance(1)
    assert budgets[Venue.SPOT].blocked_ms() == 0


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_a_later_hold_never_shortens_an_earlier_one(waits_ms: list[float]) -> None:
    """Replies come in any order."""
    budget = WeightBudget(Venue.SPOT, ManualClock())
    for wait_ms in waits_ms:
        budget.block(wait_ms, "429")

    assert budget.blocked_ms() == max(waits_ms)


@given(st.text())
def test_any_retry_after_is_bounded(text: str) -> None:
    """Dates, invalid texts and huge numbers included."""
    assert 0 <= retry_after_s({"Retry-After": text}) <= RETRY_AFTER_MAX_S


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0),
        ("12", 12),
        ("999999999", RETRY_AFTER_MAX_S),
        ("", RETRY_AFTER_DEFAULT_S),
        ("-5", RETRY_AFTER_DEFAULT_S),
        ("9" * 5_000, RETRY_AFTER_DEFAULT_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", RETRY_AFTER_DEFAULT_S),
    ],
)
def test_retry_after_is_read(text: str, wait_s: int) -> None:
    """Whole seconds, or a minute where there is no usable value."""
    assert retry_after_s({"Retry-After": text}) == wait_s


def futures_budget(clock: ManualClock) -> WeightBudget:
    """Room for 10 requests of money in 5 minutes, and none of it used."""
    budget = WeightBudget(Venue.PERP, clock)
    budget.requests.learn(FUTURES_FUNDING, 10, LimitSource.SETTING)
    return budget


def funding_call(
    priority: Priority, patience_ms: float | None = None, caller: str = "test"
) -> RequestCall:
    return RequestCall(caller, priority, funding_request(), patience_ms)


async def spend(budget: WeightBudget, requests: int) -> None:
    """Send them, and get replies that report nothing."""
    for _ in range(requests):
        budget.settle(await budget.admit(funding_call(Priority.MONEY)), 200, httpx2.Headers())


async def test_a_request_without_room_waits_for_it(tasks: TaskGroup) -> None:
    """Money goes first, whoever came first; each is counted by what became of it."""
    clock, admitted = ManualClock(), list[str]()
    budget = futures_budget(clock)
    await spend(budget, 10)

    async def ask(name: str, priority: Priority) -> None:
        await budget.admit(funding_call(priority, 400_000, name))
        admitted.append(name)

    for name, priority in (("history", Priority.BACKFILL), ("order", Priority.MONEY)):
        tasks.start_soon(ask, name, priority)
        await settle()
    assert budget.requests.waiting == 2
    await clock.advance(299_999)
    assert admitted == []
    await clock.advance(1)
    await settle()

    assert admitted == ["order", "history"]
    assert budget.requests.outcomes["order", RequestOutcome.WAITED] == 1


async def test_a_request_is_refused_at_once_when_its_wait_would_be_too_long() -> None:
    """The error says what is used, where its kind stops, and when there is room."""
    budget = futures_budget(ManualClock())
    await spend(budget, 7)
    with pytest.raises(RequestNotAdmittedError) as refused:
        await budget.admit(funding_call(Priority.BACKFILL, caller="funding.history"))

    assert str(refused.value) == (
        "not sent: funding.history needs 1 of futures.funding, 7 are used and BACKFILL requests "
        "stop at 7; room in 300 s at the earliest"
    )
    assert refused.value.wait_ms == 300_000
    assert budget.requests.outcomes["funding.history", RequestOutcome.NO_ROOM] == 1
    assert budget.requests.waiting == 0


async def test_a_request_in_flight_is_waited_for_no_longer_than_the_caller_has_patience(
    tasks: TaskGroup,
) -> None:
    clock = ManualClock()
    budget = futures_budget(clock)
    flying = [await budget.admit(funding_call(Priority.MONEY)) for _ in range(10)]

    async def ask() -> None:
        with pytest.raises(RequestNotAdmittedError):
            await budget.admit(funding_call(Priority.MONEY, 700))

    tasks.start_soon(ask)
    await clock.wait_for_sleeper()
    await clock.advance(700)
    await settle()
    assert budget.requests.waiting == 0

    taken = list[Ticket]()

    async def take() -> None:
        taken.append(await budget.admit(funding_call(Priority.MONEY)))

    tasks.start_soon(take)
    await settle()
    budget.give_back(flying[0])
    await settle()
    assert len(taken) == 1, "one that was never sent makes room at once"
    assert budget.requests.outcomes["test", RequestOutcome.NOT_SENT] == 1


def transfer_call(weight: int) -> RequestCall:
    return RequestCall("transfer", Priority.MONEY, sapi_uid_weight(weight), patience_ms=0)


async def test_a_refusal_says_whether_limit_replies_or_queue_are_in_the_way(
    tasks: TaskGroup,
) -> None:
    """What is used in all is no reason where only replies are awaited; Binance reports 60,000."""
    budget = WeightBudget(Venue.SPOT, ManualClock(), instances=100)
    await reply(budget, 200, X_SAPI_USED_UID_WEIGHT_1M="60000")
    flying = await budget.admit(transfer_call(300))
    with pytest.raises(RequestNotAdmittedError) as awaiting:
        await budget.admit(transfer_call(300))
    with pytest.raises(RequestNotAdmittedError) as never:
        await budget.admit(transfer_call(361))
    first = RequestCall("first", Priority.MONEY, sapi_uid_weight(360))
    tasks.start_soon(budget.admit, first)
    await settle()
    with pytest.raises(RequestNotAdmittedError) as queued:
        await budget.admit(transfer_call(1))

    assert flying.open
    assert str(awaiting.value) == (
        "not sent: transfer needs 300 of sapi.uid, 300 await their replies and MONEY requests "
        "stop at 360; room when replies have come"
    )
    assert str(never.value) == (
        "not sent: transfer needs 361 of sapi.uid, but this instance may await replies for 360 "
        "in all"
    )
    assert str(queued.value) == (
        "not sent: transfer needs 1 of sapi.uid: there is room, for requests that wait already "
        "and go first"
    )


async def test_the_queue_of_a_host_is_bounded(tasks: TaskGroup) -> None:
    budget = futures_budget(ManualClock())
    await spend(budget, 10)
    for _ in range(QUEUE_MAX):
        tasks.start_soon(budget.admit, funding_call(Priority.MONEY, 400_000))
    await settle()
    with pytest.raises(RequestNotAdmittedError, match="64 requests wait already"):
        await budget.admit(funding_call(Priority.MONEY, 400_000))

    assert budget.requests.outcomes["test", RequestOutcome.QUEUE_FULL] == 1


async def test_a_hold_refuses_everything_and_counts_who_asked() -> None:
    budget = futures_budget(ManualClock())
    budget.block(60_000, "418")
    with pytest.raises(RequestNotAdmittedError, match="rate limited for another 60 s") as refused:
        await budget.admit(funding_call(Priority.MONEY, caller="order"))

    assert refused.value.wait_ms == 60_000
    assert budget.requests.outcomes["order", RequestOutcome.HELD] == 1


async def test_a_complaint_is_counted_by_reason_and_caller() -> None:
    hold = VenueHold()
    budget = WeightBudget(Venue.SPOT, ManualClock(), hold)
    for status in (429, 418):
        ticket = budget.requests.take(FREE, 0.0)
        assert isinstance(ticket, Ticket)
        budget.settle(ticket, status, httpx2.Headers({"Retry-After": "7"}))

    assert hold.complaints == {
        (HoldReason.RATE_LIMITED, "test"): 1,
        (HoldReason.BANNED, "test"): 1,
    }


def test_limits_of_the_exchange_are_learned() -> None:
    """Other types, other windows and rows of other shapes are left alone."""
    rows = (
        b'{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200}',
        b'{"rateLimitType":"REQUEST_WEIGHT","interval":"DAY","intervalNum":1,"limit":9}',
        b'{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":"99"}',
        b'{"rateLimitType":"CONNECTIONS","interval":"MINUTE","intervalNum":5,"limit":300}',
        b'{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":-1}',
        b'{"rateLimitType":null}',
        b"7",
    )
    assert dict(read_rate_limits(Venue.SPOT, map(msgspec.Raw, rows))) == {
        "spot.weight": 1_200,
        "spot.orders.10s": 99,
    }
