"""No schedule of callers passes a limit, by the exchange's own rule; who waits, and who is refused.

`Exchange` counts as Binance does: per window of its own clock, at arrival, whoever sent it.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.request_bucket import (
    BucketLimit,
    LimitSource,
    Priority,
    Shortage,
    UsedReport,
)
from chimera_s1.domain.operations.request_budget import (
    QUEUE_MAX,
    Charge,
    RequestBudget,
    RequestCall,
    Ticket,
)

MINUTE = 60_000
WEIGHT = BucketLimit("weight", 300, MINUTE, reported=True)
FUNDING = BucketLimit("funding", 40, 5 * MINUTE, reported=False)
LIMITS = (WEIGHT, FUNDING)


def call_of(
    weight: int, priority: Priority = Priority.MONEY, bucket: str = "weight", caller: str = "test"
) -> RequestCall:
    return RequestCall(caller, priority, (Charge(bucket, weight),))


def taken(budget: RequestBudget, call: RequestCall, now_ms: float = 0.0) -> Ticket:
    ticket = budget.take(call, now_ms)
    assert isinstance(ticket, Ticket)
    return ticket


class Exchange:
    """Counts in windows of its own clock, which is *ahead_ms* of the callers'."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self.counts: dict[tuple[str, int], int] = defaultdict(int)

    def arrive(self, call: RequestCall, now_ms: float) -> dict[str, UsedReport]:
        """Count a request; what its reply says, with the second in which it was made."""
        at_ms, reports = int(now_ms) + self.ahead_ms, {}
        for charge in call.charges:
            limit = next(limit for limit in LIMITS if limit.name == charge.bucket)
            window = (limit.name, at_ms // limit.window_ms)
            self.counts[window] += charge.weight
            assert self.counts[window] <= limit.limit, f"{limit.name} passed at {at_ms}"
            if limit.reported:
                reports[limit.name] = UsedReport(self.counts[window], at_ms // 1000 * 1000)
        return reports


class Step(Struct, frozen=True):
    """A request, after a pause of its instance; times in ms."""

    instance: int
    pause: int
    weight: int
    bucket: str
    priority: Priority
    uplink: int
    downlink: int
    fate: str


steps = st.builds(
    Step,
    instance=st.integers(0, 2),
    pause=st.sampled_from([0, 0, 0, 1, 50, 700, 5_000, 31_000]),
    weight=st.integers(1, 30),
    bucket=st.sampled_from(["weight", "weight", "funding"]),
    priority=st.sampled_from(Priority),
    uplink=st.sampled_from([1, 20, 400, 3_000]),
    downlink=st.sampled_from([1, 20, 400, 3_000]),
    fate=st.sampled_from(["answered"] * 6 + ["unreported", "undated", "lost", "not sent"]),
)


class Schedule:
    """Runs steps in virtual time; what does not fit is refused, as a caller without patience is."""

    def __init__(self, instances: int, ahead_ms: int) -> None:
        self.exchange = Exchange(ahead_ms)
        self.budgets = [RequestBudget(LIMITS, instances) for _ in range(instances)]
        self.sent = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()

    def at(self, when_ms: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when_ms, next(self._numbers), do))

    def run(self) -> None:
        while self._events:
            when_ms, _, do = heapq.heappop(self._events)
            do(when_ms)

    def send(self, step: Step, now_ms: float) -> None:
        budget = self.budgets[step.instance % len(self.budgets)]
        weight = step.weight if step.bucket == "weight" else 1 + step.weight % 3
        ticket = budget.take(call_of(weight, step.priority, step.bucket), now_ms)
        if isinstance(ticket, Shortage):
            return
        self.sent += 1
        if step.fate == "not sent":
            self.at(now_ms + step.uplink, lambda _: budget.give_back(ticket))
            return

        def arrive(when_ms: float) -> None:
            reports = self.exchange.arrive(ticket.call, when_ms)
            if step.fate == "undated":
                reports = {name: UsedReport(each.used, None) for name, each in reports.items()}
            elif step.fate != "answered":
                reports = {}
            self.at(when_ms + step.downlink, lambda at: budget.settle(ticket, reports, at))

        self.at(now_ms + step.uplink, arrive)


@given(st.lists(steps, min_size=1, max_size=120), st.integers(1, 3), st.integers(0, 5 * MINUTE))
def test_no_schedule_of_callers_passes_a_limit(
    plan: list[Step], instances: int, ahead_ms: int
) -> None:
    """One to three instances behind an address, replies lost, late, out of order, without counts"""
    schedule, when_ms = Schedule(instances, ahead_ms), 0.0
    for step in plan:
        when_ms += step.pause
        schedule.at(when_ms, partial(schedule.send, step))
    schedule.run()

    assert schedule.sent


class Flood(Struct, frozen=True):
    """Every instance sends what it may, until the exchange's second or third minute is over.

    Attributes:
        pause: Between two requests of any instance.
        turn: In between, one instance sends alone for so long; the others know ever less.
    """

    instances: int
    ahead: int
    pause: int
    turn: int
    weight: int
    uplink: int
    downlink: int
    fates: tuple[str, ...] = ("answered",)

    def run(self) -> Schedule:
        schedule = Schedule(self.instances, self.ahead)
        for number in range(130_000 // self.pause):
            when_ms = number * self.pause
            turn = when_ms // self.turn
            step = Step(
                turn // 2 if turn % 2 else number,
                0,
                self.weight,
                "funding" if number % 10 == 0 else "weight",
                Priority.MONEY,
                self.uplink + number % 7,
                self.downlink,
                self.fates[number % len(self.fates)],
            )
            schedule.at(when_ms, partial(schedule.send, step))
        schedule.run()
        return schedule


floods = st.builds(
    Flood,
    instances=st.integers(1, 3),
    ahead=st.integers(0, 5 * MINUTE),
    pause=st.sampled_from([130, 170, 400]),
    turn=st.sampled_from([900, 4_000, 17_000]),
    weight=st.sampled_from([1, 3, 10, 25]),
    uplink=st.sampled_from([1, 90, 3_000, 9_000]),
    downlink=st.sampled_from([1, 90, 3_000, 9_000]),
    fates=st.sampled_from(
        [("answered",), ("answered", "lost", "answered"), ("undated",), ("answered", "unreported")]
    ),
)


@settings(max_examples=60)
@given(floods)
def test_no_flood_passes_a_limit(flood: Flood) -> None:
    """As many requests in flight as may be, counts that are old when they arrive."""
    assert flood.run().sent


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_a_flood_uses_what_there_is(instances: int) -> None:
    """Each full minute, up to the margin for what may be in flight."""
    flood = Flood(instances, 12_345, pause=130, turn=900, weight=2, uplink=90, downlink=90)
    counts = flood.run().exchange.counts
    minutes = [used for (name, _), used in sorted(counts.items()) if name == "weight"]
    allowed = RequestBudget(LIMITS, instances).reports(0.0)[0].allowed

    assert minutes[1] >= allowed - 2
    funding = sum(used for (name, _), used in counts.items() if name == "funding")
    assert funding >= FUNDING.limit - 3 * instances


def test_a_report_is_believed_until_its_window_is_over_by_the_exchanges_clock() -> None:
    budget = RequestBudget(LIMITS)
    budget.settle(taken(budget, call_of(1)), {"weight": UsedReport(200, 59_000)}, 10.0)

    refused = budget.take(call_of(1), 11.0)
    assert isinstance(refused, Shortage)
    assert (refused.used, refused.allowed) == (200, 200)
    assert refused.wait_ms == 10 + 1_000 + 1_000 - 11, "1 s to the end, and 1 s for two clocks"
    assert isinstance(budget.take(call_of(1), 2_010.0), Ticket)


def test_a_report_of_the_next_window_ends_the_one_before() -> None:
    """And one that was overtaken on its way is over."""
    budget = RequestBudget(LIMITS)
    first, second, third = (taken(budget, call_of(1)) for _ in range(3))
    budget.settle(first, {"weight": UsedReport(140, 59_000)}, 10.0)
    budget.settle(second, {"weight": UsedReport(1, 60_000)}, 20.0)
    budget.settle(third, {"weight": UsedReport(141, 59_000)}, 30.0)

    assert budget.used(31.0) == {"weight": 1}


def test_requests_without_a_report_count_for_a_whole_window_after_their_end() -> None:
    """Whatever the alignment of the exchange's windows."""
    budget = RequestBudget(LIMITS)
    tickets = [taken(budget, call_of(1, bucket="funding")) for _ in range(FUNDING.limit)]
    for ticket in tickets:
        budget.settle(ticket, {}, 9_000.0)

    for now_ms in (9_000.0, 5 * MINUTE + 8_999.0):
        refused = budget.take(call_of(1, bucket="funding"), now_ms)
        assert isinstance(refused, Shortage)
        assert refused.wait_ms == 5 * MINUTE + 9_000 - now_ms
    assert isinstance(budget.take(call_of(1, bucket="funding"), 5 * MINUTE + 9_000.0), Ticket)


@pytest.mark.parametrize(
    ("priority", "share"), [(Priority.MONEY, 1), (Priority.PROBE, 0.9), (Priority.BACKFILL, 0.7)]
)
def test_each_priority_leaves_a_reserve_to_those_before_it(
    priority: Priority, share: float
) -> None:
    budget = RequestBudget(LIMITS)
    admitted = 0
    while isinstance(budget.take(call_of(1, priority, "funding"), 0.0), Ticket):
        admitted += 1

    assert admitted == int(FUNDING.limit * share)
    more = budget.take(call_of(1, Priority.MONEY, "funding"), 0.0)
    assert isinstance(more, Shortage) == (priority is Priority.MONEY)


def test_a_call_that_waits_goes_before_later_ones_and_before_less_urgent_ones() -> None:
    budget = RequestBudget(LIMITS)
    backfill = call_of(1, Priority.BACKFILL)
    probe = call_of(1, Priority.PROBE)
    first, second = budget.join(backfill), budget.join(probe)
    assert first is not None
    assert second is not None

    assert isinstance(budget.take(backfill, 0.0, first), Shortage), "a probe waits"
    assert isinstance(budget.take(probe, 0.0), Shortage), "one of its kind came first"
    assert isinstance(budget.take(call_of(1), 0.0), Ticket), "money waits for neither"
    assert isinstance(budget.take(call_of(1, Priority.PROBE, "funding"), 0.0), Ticket)
    assert isinstance(budget.take(probe, 0.0, second), Ticket)
    budget.leave(second)
    assert isinstance(budget.take(backfill, 0.0, first), Ticket)


def test_the_queue_is_bounded() -> None:
    budget = RequestBudget(LIMITS)
    places = [budget.join(call_of(1)) for _ in range(QUEUE_MAX + 1)]

    assert places[-1] is None
    assert places[0] is not None
    budget.leave(places[0])
    assert budget.join(call_of(1)) is not None


def test_a_queue_of_backfill_refuses_neither_probes_nor_money() -> None:
    """Backfill waits for up to 90 s: it must not take the places of what is urgent."""
    budget = RequestBudget(LIMITS)
    while budget.join(call_of(1, Priority.BACKFILL)) is not None:
        pass

    assert budget.join(call_of(1, Priority.PROBE)) is not None
    while budget.join(call_of(1, Priority.PROBE)) is not None:
        pass
    assert budget.waiting < QUEUE_MAX
    assert budget.join(call_of(1, Priority.MONEY)) is not None


def test_a_request_above_the_share_never_fits() -> None:
    refused = RequestBudget(LIMITS, instances=3).take(call_of(14, bucket="funding"), 0.0)

    assert isinstance(refused, Shortage)
    assert refused.wait_ms == float("inf")


def test_a_request_is_settled_once() -> None:
    budget = RequestBudget(LIMITS)
    ticket = taken(budget, call_of(5))
    budget.give_back(ticket)
    budget.give_back(ticket)
    budget.settle(ticket, {}, 0.0)

    assert budget.used(0.0) == {}


def test_a_more_trusted_source_of_a_limit_stays() -> None:
    budget = RequestBudget(LIMITS)
    for limit, source in (
        (500, LimitSource.EXCHANGE),
        (400, LimitSource.SETTING),
        (600, LimitSource.EXCHANGE),
    ):
        budget.learn("weight", limit, source)

    weight = budget.reports(0.0)[0].limit
    assert (weight.limit, weight.source) == (400, LimitSource.SETTING)
    with pytest.raises(InvalidValueError, match="no limit 'weigth'; it has weight, funding"):
        budget.learn("weigth", 1, LimitSource.SETTING)


def test_fewer_instances_leave_more_to_each() -> None:
    budget = RequestBudget(LIMITS, instances=4)
    assert isinstance(budget.take(call_of(11, bucket="funding"), 0.0), Shortage)
    budget.use_instances(2)
    assert isinstance(budget.take(call_of(11, bucket="funding"), 0.0), Ticket)
