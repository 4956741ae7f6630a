"""Whatever the exchange and the wire do, a futures entry ends protected, closed or in an alarm."""

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.attempts import is_unresolved
from chimera_s1.domain.execution.entries.futures_entry import decide_futures
from chimera_s1.domain.execution.entries.steps import NextSteps, Place, Situation, Step
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import PerpAlgoOrder
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from tests.unit.domain.execution.entries.futures_exchange import ViolationError
from tests.unit.domain.execution.entries.futures_ledger import SPEC
from tests.unit.domain.execution.entries.futures_world import ACTIONS, Action, Machine, run

DRAWS_MAX = 10_000
SEEDS = 60
SEEDS_TO_FIND = 400


def seeded(seed: int) -> tuple[int, list[Action]]:
    chance = random.Random(seed)
    actions = [
        (chance.choice(ACTIONS), chance.randrange(DRAWS_MAX)) for _ in range(chance.randrange(60))
    ]
    return chance.randrange(DRAWS_MAX), actions


@settings(max_examples=30, deadline=None)
@given(
    draw=st.integers(0, DRAWS_MAX),
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, DRAWS_MAX)), max_size=50),
)
def test_any_interleaving_ends_protected_closed_or_in_an_alarm(
    draw: int, actions: Sequence[Action]
) -> None:
    run(decide_futures, draw, actions)


def test_seeded_interleavings_end_protected_closed_or_in_an_alarm() -> None:
    for seed in range(SEEDS):
        run(decide_futures, *seeded(seed))


def stop_for_what_was_ordered(situation: Situation) -> NextSteps:
    def changed(step: Step) -> Step:
        if isinstance(step, Place) and isinstance(step.request, PerpAlgoOrder):
            body = replace(step.request.body, qty=SPEC.qty)
            return Place(request=replace(step.request, body=body))
        return step

    following = decide_futures(situation)
    return replace(following, steps=tuple(changed(step) for step in following.steps))


def with_stops(situation: Situation, changed: tuple[TrackedOrder, ...]) -> Situation:
    return replace(situation, orders=replace(situation.orders, stops=changed))


def close_on_an_ambiguous_stop(situation: Situation) -> NextSteps:
    stops = tuple(
        replace(stop, phase=OrderPhase.REFUSED, refusal=RefusalReason.ORDERS_MAX)
        if is_unresolved(stop) and stop.client_id not in situation.busy
        else stop
        for stop in situation.orders.stops
    )
    return decide_futures(with_stops(situation, stops))


def place_again_without_a_look_up(situation: Situation) -> NextSteps:
    unresolved = {stop.client_id for stop in situation.orders.stops if is_unresolved(stop)}
    missed = situation.not_found | (unresolved - situation.busy)
    return decide_futures(replace(situation, not_found=missed))


def cancel_the_old_stop_too_early(situation: Situation) -> NextSteps:
    stops = tuple(
        replace(stop, phase=OrderPhase.ACKNOWLEDGED) if is_unresolved(stop) else stop
        for stop in situation.orders.stops
    )
    return decide_futures(with_stops(situation, stops))


def forget_a_refused_stop(situation: Situation) -> NextSteps:
    stops = tuple(s for s in situation.orders.stops if s.phase is not OrderPhase.REFUSED)
    return decide_futures(with_stops(situation, stops))


def ignore_what_others_close(situation: Situation) -> NextSteps:
    return decide_futures(replace(situation, position_qty=None))


def count_replies_as_fills(situation: Situation) -> NextSteps:
    order = situation.orders.entry
    assert order is not None
    if order.status == "NEW":
        order = replace(order, reported_qty=SPEC.qty + Decimal(0))
    return decide_futures(replace(situation, orders=replace(situation.orders, entry=order)))


@pytest.mark.parametrize(
    "machine",
    [
        stop_for_what_was_ordered,
        close_on_an_ambiguous_stop,
        place_again_without_a_look_up,
        cancel_the_old_stop_too_early,
        forget_a_refused_stop,
        ignore_what_others_close,
        count_replies_as_fills,
    ],
)
def test_a_broken_machine_is_caught(machine: Machine) -> None:
    def is_caught(seed: int) -> bool:
        try:
            run(machine, *seeded(seed))
        except ViolationError:
            return True
        return False

    assert any(is_caught(seed) for seed in range(SEEDS_TO_FIND))
