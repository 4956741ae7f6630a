"""Which coordinator receives the next request."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from chimera_s1.adapters.arango.coordinator import ArangoCredentials, Coordinator
from chimera_s1.adapters.arango.coordinator_pool import COOLDOWN, CoordinatorPool
from chimera_s1.adapters.arango.errors import ArangoRequestError, NotSentError, RequestRejectedError

CREDENTIALS = ArangoCredentials("chimera", "user", lambda: "a secret password")


class PoolHarness:
    """Three coordinators without connections, and a manual clock."""

    def __init__(self, coordinators: list[Coordinator]) -> None:
        self.now_s = 100.0
        self.pool = CoordinatorPool(coordinators, lambda: self.now_s)

    def pick(self, avoid: int | None = None) -> int:
        coordinators = self.pool.coordinators
        picked = self.pool.pick(None if avoid is None else coordinators[avoid])
        return coordinators.index(picked)

    def record(self, index: int, error: ArangoRequestError | None) -> None:
        self.pool.record_result(self.pool.coordinators[index], error)


@pytest.fixture
def harness() -> Iterator[PoolHarness]:
    with ExitStack() as stack:
        coordinators = [
            Coordinator(f"http://c{index}:1", CREDENTIALS, max_connections=1, connect_timeout_s=1)
            for index in range(3)
        ]
        for each in coordinators:
            stack.enter_context(closing(each))
        yield PoolHarness(coordinators)


def test_coordinators_are_used_round_robin(harness: PoolHarness) -> None:
    assert [harness.pick() for _ in range(5)] == [0, 1, 2, 0, 1]


def test_a_retry_goes_to_another_coordinator(harness: PoolHarness) -> None:
    assert harness.pick(avoid=0) == 1
    assert harness.pick(avoid=2) == 0


def test_the_cooldown_doubles_with_each_failure(harness: PoolHarness) -> None:
    cooldown_s = COOLDOWN.base_ms / 1000
    while cooldown_s < COOLDOWN.max_wait_ms / 1000:
        harness.record(0, NotSentError("down"))
        harness.now_s += cooldown_s * 0.99
        assert 0 not in {harness.pick() for _ in range(6)}
        harness.now_s += cooldown_s * 0.02
        assert 0 in {harness.pick() for _ in range(6)}
        cooldown_s *= 2
    for _ in range(2000):
        harness.record(0, NotSentError("down"))
    harness.now_s += COOLDOWN.max_wait_ms / 1000
    assert 0 in {harness.pick() for _ in range(6)}


def test_a_reply_ends_the_cooldown(harness: PoolHarness) -> None:
    for result in (None, RequestRejectedError(409, 1210, "")):
        harness.record(0, NotSentError("down"))
        harness.record(0, result)
        assert 0 in {harness.pick() for _ in range(3)}


def test_when_all_cool_down_the_earliest_to_recover_is_used(harness: PoolHarness) -> None:
    for index, failures in ((0, 3), (1, 1), (2, 2)):
        for _ in range(failures):
            harness.record(index, NotSentError("down"))

    assert [harness.pick(), harness.pick(avoid=1)] == [1, 1]


def test_nothing_prints_the_password(harness: PoolHarness) -> None:
    printed = [
        repr(CREDENTIALS),
        str(CREDENTIALS),
        repr(harness.pool.coordinators[0]),
        repr(vars(harness.pool)),
    ]

    assert not [text for text in printed if CREDENTIALS.read_password() in text]
