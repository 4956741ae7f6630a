"""A listenKey is valid for an hour of the exchange's clock."""

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.streams.listen_keys import VALIDITY_MS, ExpiredKey, ListenKeys

START_MS = 1_700_000_000_000


class Wall:
    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


def test_opening_again_gives_the_same_key_and_extends_it() -> None:
    wall = Wall()
    keys = ListenKeys(ScaledClock(wall))
    key = keys.open()
    wall.ms += VALIDITY_MS - 1

    assert keys.open() == key
    wall.ms += VALIDITY_MS - 1
    assert keys.extend() == key
    assert keys.next_expiry_ms == wall.ms + VALIDITY_MS


def test_an_expired_key_is_reported_once_and_never_valid_again() -> None:
    wall = Wall()
    keys = ListenKeys(ScaledClock(wall))
    key = keys.open()
    wall.ms += VALIDITY_MS

    assert not keys.is_valid(key)
    assert keys.extend() == ""
    assert keys.open() != key
    assert not keys.is_valid(key)
    assert keys.take_expired() == [ExpiredKey(key, START_MS + VALIDITY_MS)]
    assert keys.take_expired() == []


def test_a_closed_key_ends_without_an_event() -> None:
    keys = ListenKeys(ScaledClock(Wall()))
    key = keys.open()

    assert keys.close()
    assert not keys.close()
    assert not keys.is_valid(key)
    assert keys.take_expired() == []


def test_no_key_is_valid_before_one_is_opened() -> None:
    assert not ListenKeys(ScaledClock(Wall())).is_valid("")
