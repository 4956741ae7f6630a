"""How each frame fault changes a payload, and which payloads it applies to."""

import orjson
import pytest

from chimera_s1.adapters.simulator.faults.actions import MALFORMED_VARIANTS, FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.streams.frame_faults import (
    Frame,
    apply_frame_fault,
    is_applicable,
)
from chimera_s1.adapters.simulator.streams.malformed import HUGE_BYTES

TICKER = b'{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}'
TIMED = b'{"e":"bookTicker","u":1,"E":5000,"T":4999,"s":"X","b":"1","B":"2","a":"3","A":"4"}'
DEPTH = b'{"lastUpdateId":7,"bids":[["1.0","2"],["0.9","5"]],"asks":[["1.1","3"]]}'
MARK = b'{"e":"markPriceUpdate","E":5000,"s":"X","p":"1.0","T":9000}'
MARKS = b"[%b]" % MARK
NUMBERS = b'{"u":1,"s":"BTCUSDT","b":"%b","B":"%b","a":"%b","A":"%b"}'


def only(frames: tuple[Frame, ...]) -> bytes:
    (frame,) = frames
    assert not frame.binary
    return frame.payload


@pytest.mark.parametrize("kind", [FaultKind.STALL, FaultKind.GAP, FaultKind.REORDER])
def test_withheld_frames_are_not_sent(kind: FaultKind) -> None:
    assert apply_frame_fault(TICKER, FaultAction(kind)) == ()


def test_a_duplicate_is_sent_twice() -> None:
    assert apply_frame_fault(TICKER, FaultAction(FaultKind.DUPLICATE)) == (
        Frame(TICKER),
        Frame(TICKER),
    )


def test_a_crossed_book_has_its_sides_swapped() -> None:
    book = orjson.loads(only(apply_frame_fault(TICKER, FaultAction(FaultKind.CROSSED))))

    assert (book["b"], book["a"], book["B"], book["A"]) == ("1.1", "1.0", "3", "2")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(FaultKind.ZERO, ["0"] * 4), (FaultKind.NEGATIVE, ["-1.0", "-2", "-1.1", "-3"])],
)
def test_zero_and_negative_books_keep_their_names(kind: FaultKind, expected: list[str]) -> None:
    book = orjson.loads(only(apply_frame_fault(TICKER, FaultAction(kind))))

    assert [book[name] for name in "bBaA"] == expected
    assert (book["s"], book["u"]) == ("BTCUSDT", 1)


def test_every_level_of_a_depth_is_changed() -> None:
    book = orjson.loads(only(apply_frame_fault(DEPTH, FaultAction(FaultKind.NEGATIVE))))

    assert book["bids"] == [["-1.0", "-2"], ["-0.9", "-5"]]
    assert book["asks"] == [["-1.1", "-3"]]


@pytest.mark.parametrize(("kind", "event_ms"), [(FaultKind.LATE, 4_000), (FaultKind.FUTURE, 6_000)])
def test_event_times_are_shifted(kind: FaultKind, event_ms: int) -> None:
    book = orjson.loads(only(apply_frame_fault(TIMED, FaultAction(kind, 1000))))

    assert (book["E"], book["T"], book["b"]) == (event_ms, event_ms - 1, "1")


def test_the_next_funding_time_is_not_shifted() -> None:
    mark = orjson.loads(only(apply_frame_fault(MARK, FaultAction(FaultKind.FUTURE, 1000))))

    assert (mark["E"], mark["T"]) == (6_000, 9_000)


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        (FaultAction(FaultKind.CROSSED), TICKER, True),
        (FaultAction(FaultKind.ZERO), DEPTH, True),
        (FaultAction(FaultKind.CROSSED), MARK, False),
        (FaultAction(FaultKind.MALFORMED, variant="nan"), MARK, False),
        (FaultAction(FaultKind.MALFORMED, variant="types"), MARK, True),
        (FaultAction(FaultKind.MALFORMED, variant="types"), MARKS, False),
        (FaultAction(FaultKind.LATE, 5), TICKER, False),
        (FaultAction(FaultKind.LATE, 5), MARKS, True),
        (FaultAction(FaultKind.GAP), MARKS, True),
    ],
)
def test_a_fault_applies_only_to_payloads_it_can_change(
    action: FaultAction, payload: bytes, expected: bool
) -> None:
    assert is_applicable(action, payload) is expected


@pytest.mark.parametrize("kind", ["truncated", "json", "utf8", "empty"])
def test_these_variants_are_not_json(kind: str) -> None:
    broken = only(apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant=kind)))

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)


def test_wrong_types_keep_the_keys() -> None:
    book = orjson.loads(
        only(apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant="types")))
    )

    assert list(book) == ["u", "s", "b", "B", "a", "A"]
    assert {type(value) for value in book.values()} == {dict}


def test_an_unknown_event_has_no_book() -> None:
    event = orjson.loads(
        only(apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant="event")))
    )

    assert event == {"e": "neverHeardOf", "s": "BTCUSDT"}


@pytest.mark.parametrize(("kind", "text"), [("nan", b"NaN"), ("infinity", b"Infinity")])
def test_prices_and_quantities_can_be_nan_or_infinity(kind: str, text: bytes) -> None:
    payload = only(apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant=kind)))

    assert payload == NUMBERS % (text, text, text, text)


def test_a_huge_frame_is_still_the_same_book() -> None:
    payload = only(apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant="huge")))

    assert len(payload) > HUGE_BYTES
    assert {**orjson.loads(payload), "pad": ""} == {**orjson.loads(TICKER), "pad": ""}


def test_only_a_binary_frame_is_binary() -> None:
    kinds = {
        kind
        for kind in MALFORMED_VARIANTS
        if apply_frame_fault(TICKER, FaultAction(FaultKind.MALFORMED, variant=kind))[0].binary
    }

    assert kinds == {"binary"}
