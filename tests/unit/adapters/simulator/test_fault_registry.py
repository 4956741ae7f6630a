"""
Faults fire as often and as long as they were told, and say what is wrong with a bad one.
"""

import orjson
import pytest

from chimera_s1.adapters.simulator.distortion import distort
from chimera_s1.adapters.simulator.fault_actions import Action, Deed
from chimera_s1.adapters.simulator.faults import FAULTS_MAX, FaultRegistry
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


class Moment:
    """
    A clock that stands where it is put.
    """

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


@pytest.fixture
def now() -> Moment:
    return Moment()


@pytest.fixture
def faults(now: Moment) -> FaultRegistry:
    return FaultRegistry(now)


def fired(faults: FaultRegistry) -> list[int]:
    return [fault.fired for fault, _ in faults.listed()]


def test_a_fault_fires_once_unless_told_otherwise(faults: FaultRegistry) -> None:
    faults.arm("GET /fapi/v1/time", "delay:5")

    assert faults.take_rest("GET", "/fapi/v1/time") == Action(Deed.DELAY, 5)
    assert faults.take_rest("GET", "/fapi/v1/time") is None
    assert fired(faults) == [1]


def test_another_request_is_left_alone(faults: FaultRegistry) -> None:
    faults.arm("GET /fapi/v1/time", "drop-before")

    assert faults.take_rest("POST", "/fapi/v1/time") is None
    assert faults.take_rest("GET", "/fapi/v1/ping") is None
    assert fired(faults) == [0]


def test_times_and_duration_end_a_fault_whichever_comes_first(
    faults: FaultRegistry, now: Moment
) -> None:
    faults.arm("GET /a", "status:503", times=2, for_ms=100)
    faults.arm("GET /b", "status:503", for_ms=100)

    assert all(faults.take_rest("GET", "/a") for _ in range(2))
    assert faults.take_rest("GET", "/a") is None
    assert all(faults.take_rest("GET", "/b") for _ in range(5))
    now.ms = 100
    assert faults.take_rest("GET", "/b") is None
    assert [live for _, live in faults.listed()] == [False, False]


def test_a_stall_counts_once_and_lasts(faults: FaultRegistry, now: Moment) -> None:
    faults.arm("ws:spot", "stall", for_ms=1000)

    assert all(faults.take_frame(Venue.SPOT, "btcusdt@bookTicker") for _ in range(3))
    assert fired(faults) == [1]
    now.ms = 1000
    assert not faults.frames_touched(Venue.SPOT)


def test_a_stream_fault_touches_its_stream_only(faults: FaultRegistry) -> None:
    faults.arm("ws:perp:btcusdt@depth@100ms", "gap")

    assert faults.frames_touched(Venue.PERP)
    assert not faults.frames_touched(Venue.SPOT)
    assert faults.take_frame(Venue.PERP, "btcusdt@bookTicker") is None
    assert faults.take_frame(Venue.PERP, "btcusdt@depth@100ms") == Action(Deed.GAP)


def test_a_connection_fault_waits_for_a_connection_that_carries_its_stream(
    faults: FaultRegistry,
) -> None:
    faults.arm("ws:spot:btcusdt@bookTicker", "close:1012")

    assert faults.take_connection(Venue.SPOT, {"ethusdt@bookTicker"}) is None
    assert faults.take_connection(Venue.SPOT, {"btcusdt@bookTicker"}) == (
        "btcusdt@bookTicker",
        Action(Deed.CLOSE, 1012),
    )
    assert fired(faults) == [1]


def test_clearing_forgets_all(faults: FaultRegistry) -> None:
    faults.arm("ws:spot", "stall")

    assert faults.clear() == 1
    assert not faults.frames_touched(Venue.SPOT)
    assert faults.listed() == []


@pytest.mark.parametrize(
    ("on", "do", "named"),
    [
        ("ws:dex", "stall", "ws:perp"),
        ("FETCH /x", "drop-before", "GET /fapi/v1/time"),
        ("GET /x?y=1", "drop-before", "without a query"),
        ("GET /x", "stall", "drop-before, execute-then-drop, delay:<ms>"),
        ("ws:spot", "delay:5", "stall, disconnect, close:<code>"),
        ("GET /x", "delay", "from 1 to 600000"),
        ("GET /x", "delay:-5", "from 1 to 600000"),
        ("GET /x", "status:200", "from 400 to 599"),
        ("GET /x", "body:pdf", "html|empty|truncated"),
        ("ws:spot", "stall:5", "nothing after the colon"),
        ("ws:spot", "", "stall, disconnect"),
    ],
)
def test_a_bad_fault_is_refused_with_what_is_allowed(
    faults: FaultRegistry, on: str, do: str, named: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        faults.arm(on, do)

    assert named in str(caught.value)
    assert faults.listed() == []


def test_the_list_of_faults_is_bounded(faults: FaultRegistry) -> None:
    for _ in range(FAULTS_MAX):
        faults.arm("ws:spot", "gap")

    with pytest.raises(InvalidValueError, match="DELETE /sim/faults"):
        faults.arm("ws:spot", "gap")


PAYLOAD = b'{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}'


@pytest.mark.parametrize("deed", [Deed.STALL, Deed.GAP])
def test_withheld_frames_are_not_sent(deed: Deed) -> None:
    assert distort(PAYLOAD, Action(deed)) == ()


def test_a_duplicate_is_sent_twice() -> None:
    assert distort(PAYLOAD, Action(Deed.DUPLICATE)) == (PAYLOAD, PAYLOAD)


def test_a_malformed_frame_is_no_json() -> None:
    (broken,) = distort(PAYLOAD, Action(Deed.MALFORMED))

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)


def test_a_crossed_book_has_its_sides_swapped() -> None:
    (crossed,) = distort(PAYLOAD, Action(Deed.CROSSED))

    book = orjson.loads(crossed)
    assert (book["b"], book["a"], book["B"], book["A"]) == ("1.1", "1.0", "3", "2")
