"""Which coordinator is asked next."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from chimera_s1.adapters.arango.coordinator import ArangoCredentials, Coordinator
from chimera_s1.adapters.arango.coordinator_pool import REST, CoordinatorPool
from chimera_s1.adapters.arango.errors import ArangoRequestError, NotSentError, RequestRejectedError

ACCESS = ArangoCredentials("chimera", "somebody", "a secret of theirs")


class Rig:
    """Three coordinators that nobody connects to, and a clock that is set."""

    def __init__(self, coordinators: list[Coordinator]) -> None:
        self.now_s = 100.0
        self.rota = CoordinatorPool(coordinators, lambda: self.now_s)

    def picked(self, last: int | None = None) -> int:
        """The number of the next one."""
        all_of_them = self.rota.coordinators
        return all_of_them.index(self.rota.pick(None if last is None else all_of_them[last]))

    def note(self, number: int, fault: ArangoRequestError | None) -> None:
        self.rota.record_result(self.rota.coordinators[number], fault)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with ExitStack() as stack:
        coordinators = [
            Coordinator(f"http://c{number}:1", ACCESS, max_connections=1, connect_timeout_s=1)
            for number in range(3)
        ]
        for each in coordinators:
            stack.enter_context(closing(each))
        yield Rig(coordinators)


def test_all_take_their_turns(rig: Rig) -> None:
    assert [rig.picked() for _ in range(5)] == [0, 1, 2, 0, 1]


def test_a_second_try_goes_to_another_one(rig: Rig) -> None:
    assert rig.picked(last=0) == 1
    assert rig.picked(last=2) == 0


def test_one_that_fails_rests_twice_as_long_each_time(rig: Rig) -> None:
    rest_s = REST.base_ms / 1000
    while rest_s < REST.max_wait_ms / 1000:
        rig.note(0, NotSentError("down"))
        rig.now_s += rest_s * 0.99
        assert 0 not in {rig.picked() for _ in range(6)}
        rig.now_s += rest_s * 0.02
        assert 0 in {rig.picked() for _ in range(6)}
        rest_s *= 2
    for _ in range(2000):
        rig.note(0, NotSentError("down"))
    rig.now_s += REST.max_wait_ms / 1000
    assert 0 in {rig.picked() for _ in range(6)}


def test_an_answer_wakes_it(rig: Rig) -> None:
    for answer in (None, RequestRejectedError(409, 1210, "")):
        rig.note(0, NotSentError("down"))
        rig.note(0, answer)
        assert 0 in {rig.picked() for _ in range(3)}


def test_when_all_rest_the_first_to_wake_is_asked(rig: Rig) -> None:
    for number, failures in ((0, 3), (1, 1), (2, 2)):
        for _ in range(failures):
            rig.note(number, NotSentError("down"))

    assert [rig.picked(), rig.picked(last=1)] == [1, 1]


def test_nothing_prints_the_password(rig: Rig) -> None:
    printed = [repr(ACCESS), str(ACCESS), repr(rig.rota.coordinators[0]), repr(vars(rig.rota))]

    assert not [text for text in printed if ACCESS.password in text]
