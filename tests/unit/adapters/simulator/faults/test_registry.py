"""Faults fire as often and as long as armed; an invalid one is refused with the reason."""

import pytest

from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.faults.registry import FAULTS_MAX, FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import StreamTarget, UserStreamTarget
from chimera_s1.adapters.simulator.streams.frame_faults import is_applicable
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


class Moment:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


@pytest.fixture
def now() -> Moment:
    return Moment()


@pytest.fixture
def faults(now: Moment) -> FaultRegistry:
    return FaultRegistry(now, lambda: 1_700_000_000_000 + round(now.ms))


def anything(_: FaultAction) -> bool:
    return True


def fired(faults: FaultRegistry) -> list[int]:
    return [fault.fired for fault, _ in faults.list_faults()]


def test_a_fault_fires_once_by_default(faults: FaultRegistry) -> None:
    faults.arm("GET /fapi/v1/time", "delay:5")

    assert faults.take_request_fault(Venue.PERP, "GET", "/fapi/v1/time") == FaultAction(
        FaultKind.DELAY, 5
    )
    assert faults.take_request_fault(Venue.PERP, "GET", "/fapi/v1/time") is None
    assert fired(faults) == [1]


def test_a_request_fault_leaves_other_requests_alone(faults: FaultRegistry) -> None:
    faults.arm("GET /fapi/v1/time", "drop-before")

    assert faults.take_request_fault(Venue.PERP, "POST", "/fapi/v1/time") is None
    assert faults.take_request_fault(Venue.PERP, "GET", "/fapi/v1/ping") is None
    assert fired(faults) == [0]


def test_a_fault_ends_after_its_times_or_its_duration(faults: FaultRegistry, now: Moment) -> None:
    faults.arm("GET /a", "status:503", times=2, for_ms=100)
    faults.arm("GET /b", "status:503", for_ms=100)

    assert all(faults.take_request_fault(Venue.PERP, "GET", "/a") for _ in range(2))
    assert faults.take_request_fault(Venue.PERP, "GET", "/a") is None
    assert all(faults.take_request_fault(Venue.PERP, "GET", "/b") for _ in range(5))
    now.ms = 100
    assert faults.take_request_fault(Venue.PERP, "GET", "/b") is None
    assert [live for _, live in faults.list_faults()] == [False, False]


def test_a_stall_counts_as_one_event_while_it_lasts(faults: FaultRegistry, now: Moment) -> None:
    faults.arm("ws:spot", "stall", for_ms=1000)

    assert all(
        faults.take_frame_fault(Venue.SPOT, "btcusdt@bookTicker", anything) for _ in range(3)
    )
    assert fired(faults) == [1]
    now.ms = 1000
    assert not faults.has_frame_faults(Venue.SPOT)


def test_a_stream_fault_applies_to_its_stream_only(faults: FaultRegistry) -> None:
    faults.arm("ws:perp:btcusdt@depth@100ms", "gap")

    assert faults.has_frame_faults(Venue.PERP)
    assert not faults.has_frame_faults(Venue.SPOT)
    assert faults.take_frame_fault(Venue.PERP, "btcusdt@bookTicker", anything) is None
    assert faults.take_frame_fault(Venue.PERP, "btcusdt@depth@100ms", anything) == FaultAction(
        FaultKind.GAP
    )


def test_a_fault_waits_for_a_frame_it_can_change(faults: FaultRegistry) -> None:
    faults.arm("ws:spot", "late:50")
    timeless, timed = b'{"u":1}', b'{"E":1}'

    assert (
        faults.take_frame_fault(Venue.SPOT, "x", lambda action: is_applicable(action, timeless))
        is None
    )
    assert (
        faults.take_frame_fault(Venue.SPOT, "x", lambda action: is_applicable(action, timed))
        is not None
    )
    assert fired(faults) == [1]


def test_a_refusal_applies_to_its_venue_only(faults: FaultRegistry) -> None:
    faults.arm("ws:spot", "refuse", times=2)

    assert faults.take_handshake_fault(StreamTarget(Venue.PERP)) is None
    assert faults.take_handshake_fault(UserStreamTarget(Venue.SPOT)) is None
    assert [faults.take_handshake_fault(StreamTarget(Venue.SPOT)) for _ in range(3)] == [
        FaultAction(FaultKind.REFUSE, 503),
        FaultAction(FaultKind.REFUSE, 503),
        None,
    ]


def test_a_fault_can_target_every_request_of_a_venue(faults: FaultRegistry) -> None:
    faults.arm("rest:perp", "status:502", times=2)

    assert faults.take_request_fault(Venue.SPOT, "GET", "/api/v3/time") is None
    assert all(faults.take_request_fault(Venue.PERP, "GET", path) for path in ("/a", "/b"))


def test_first_and_last_firing_times_are_kept(faults: FaultRegistry, now: Moment) -> None:
    fault = faults.arm("GET /a", "status:503", times=2)
    assert (fault.first_fired_ms, fault.last_fired_ms) == (None, None)

    for now.ms in (5, 9):
        faults.take_request_fault(Venue.PERP, "GET", "/a")

    assert (fault.first_fired_ms, fault.last_fired_ms) == (1_700_000_000_005, 1_700_000_000_009)


def test_a_single_fault_can_be_cleared(faults: FaultRegistry) -> None:
    first, second = faults.arm("ws:spot", "stall"), faults.arm("ws:perp", "stall")

    assert faults.clear(first.id) == 1
    assert [fault.id for fault, _ in faults.list_faults()] == [second.id]
    assert faults.clear(first.id) == 0


def test_clearing_removes_all_faults(faults: FaultRegistry) -> None:
    faults.arm("ws:spot", "stall")

    assert faults.clear() == 1
    assert not faults.has_frame_faults(Venue.SPOT)
    assert faults.list_faults() == []


@pytest.mark.parametrize(
    ("on", "do", "named"),
    [
        ("ws:dex", "stall", "ws:perp"),
        ("FETCH /x", "drop-before", "GET /fapi/v1/time"),
        ("GET /x?y=1", "drop-before", "without a query"),
        ("GET /x", "stall", "drop-before, execute-then-drop, delay:<ms>"),
        ("ws:spot", "delay:5", "stall, malformed[:truncated|"),
        ("GET /x", "delay", "from 1 to 600000"),
        ("GET /x", "delay:-5", "from 1 to 600000"),
        ("GET /x", "status:200", "from 400 to 599"),
        ("GET /x", "body:pdf", "html|empty|truncated"),
        ("GET /x", "body", "html|empty|truncated"),
        ("GET /x", "unavailable:lunch", "unknown|service|internal|throttled"),
        ("GET /x", "execute-then-code:5", "from -99999 to -1"),
        ("GET /x", "execute-then-nothing", "execute-then-unavailable[:unknown|"),
        ("rest:dex", "status:503", "rest:spot"),
        ("ws:spot", "stall:5", "nothing after the colon"),
        ("ws:spot", "malformed:pdf", "malformed[:truncated|json|types"),
        ("ws:spot", "slow", "from 1 to 60000"),
        ("ws:spot", "late:0", "from 1 to"),
        ("ws:spot", "late-pong", "from 1 to 600000"),
        ("ws:spot", "refuse:499", "HTTP status"),
        ("ws:spot:btcusdt@bookTicker", "refuse", "stall, malformed"),
        ("ws:spot#0", "disconnect", "ws:spot#3"),
        ("ws:spot#1", "crossed", "disconnect, close:<code>, close-after-data:<code>, shutdown"),
        ("clock", "storm:5", "offset:<ms>, drift:<ms/s>"),
        ("market", "offset:5", "storm:<updates/s>"),
        ("market", "storm:0", "from 1 to 1000000"),
        ("ws:spot", "", "disconnect, close:<code>"),
    ],
)
def test_an_invalid_fault_is_refused_with_the_allowed_forms(
    faults: FaultRegistry, on: str, do: str, named: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        faults.arm(on, do)

    assert named in str(caught.value)
    assert faults.list_faults() == []


def test_the_list_of_faults_is_bounded(faults: FaultRegistry) -> None:
    for _ in range(FAULTS_MAX):
        faults.arm("ws:spot", "gap")

    with pytest.raises(InvalidValueError, match="DELETE /sim/faults"):
        faults.arm("ws:spot", "gap")


def test_a_new_fault_replaces_an_ended_one(faults: FaultRegistry) -> None:
    for n in range(FAULTS_MAX):
        faults.arm(f"GET /{n}", "status:503")
    faults.take_request_fault(Venue.PERP, "GET", "/7")

    faults.arm("ws:spot", "gap")

    assert len(faults.list_faults()) == FAULTS_MAX
    assert "GET /7" not in {fault.on for fault, _ in faults.list_faults()}
