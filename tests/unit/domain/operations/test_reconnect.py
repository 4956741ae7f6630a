"""The reconnect state machine: FATAL, recovery and waits."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.reconnect import (
    ReconnectPolicy,
    ReconnectState,
    RetriesExhausted,
    RetryConnection,
    after_failure,
    after_healthy,
)
from tests.unit.domain.strategies import draws

limits = st.integers(0, 12)


@given(limits, draws)
def test_fatal_exactly_at_the_failure_after_the_last_retry(retries_max: int, draw: float) -> None:
    """With N_max retries allowed, failures 1 to N_max are retried and number N_max + 1 is FATAL."""
    policy = ReconnectPolicy(retries_max=retries_max)
    state = ReconnectState()
    for _ in range(retries_max):
        outcome = after_failure(state, policy, draw)
        assert isinstance(outcome, RetryConnection)
        state = outcome.state
        assert not state.fatal

    last = after_failure(state, policy, draw)

    assert last == RetriesExhausted(ReconnectState(retries_max + 1, fatal=True), policy.scan_ms)


@given(limits, st.integers(1, 20), draws)
def test_fatal_is_reported_once_and_dialling_continues(
    retries_max: int, further: int, draw: float
) -> None:
    """After FATAL every failure is a retry at the scan interval, without jitter and
    without an end.
    """
    policy = ReconnectPolicy(retries_max=retries_max)
    state = ReconnectState(retries_max + 1, fatal=True)
    for _ in range(further):
        outcome = after_failure(state, policy, draw)
        assert isinstance(outcome, RetryConnection)
        assert outcome.wait_ms == policy.scan_ms
        state = outcome.state

    assert state == ReconnectState(retries_max + 1 + further, fatal=True)


@given(limits, draws)
def test_waits_follow_the_back_off_from_its_first_step(retries_max: int, draw: float) -> None:
    policy = ReconnectPolicy(retries_max=retries_max)
    state = ReconnectState()
    waits = []
    for _ in range(retries_max):
        outcome = after_failure(state, policy, draw)
        waits.append(outcome.wait_ms)
        state = outcome.state

    assert waits == [Backoff().wait_ms(n, draw) for n in range(retries_max)]


class Reconnecting(RuleBasedStateMachine):
    """A connection that fails and heals at random, against a count kept by hand."""

    @initialize(retries_max=limits)
    def start(self, retries_max: int) -> None:
        self.policy = ReconnectPolicy(retries_max=retries_max)
        self.state = ReconnectState()
        self.failures_in_a_row = 0
        self.alarms = 0
        self.alarms_expected = 0

    @rule(draw=draws)
    def fail(self, draw: float) -> None:
        self.failures_in_a_row += 1
        self.alarms_expected += self.failures_in_a_row == self.policy.retries_max + 1
        outcome = after_failure(self.state, self.policy, draw)
        self.alarms += isinstance(outcome, RetriesExhausted)
        self.state = outcome.state

    @rule()
    def live_on(self) -> None:
        self.failures_in_a_row = 0
        self.state = after_healthy()

    @invariant()
    def fatal_is_more_failures_in_a_row_than_allowed(self) -> None:
        assert self.state.retry_count == self.failures_in_a_row
        assert self.state.fatal == (self.failures_in_a_row > self.policy.retries_max)

    @invariant()
    def one_alarm_for_each_time_it_became_fatal(self) -> None:
        assert self.alarms == self.alarms_expected


TestReconnecting = Reconnecting.TestCase
