"""
What each frame fault makes of a payload, and which payloads it leaves to others.
"""

import orjson
import pytest

from chimera_s1.adapters.simulator.faults.actions import MALFORMED_KINDS, Action, Deed
from chimera_s1.adapters.simulator.streams.frame_faults import Frame, distort, suits
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


@pytest.mark.parametrize("deed", [Deed.STALL, Deed.GAP, Deed.REORDER])
def test_withheld_frames_are_not_sent(deed: Deed) -> None:
    assert distort(TICKER, Action(deed)) == ()


def test_a_duplicate_is_sent_twice() -> None:
    assert distort(TICKER, Action(Deed.DUPLICATE)) == (Frame(TICKER), Frame(TICKER))


def test_a_crossed_book_has_its_sides_swapped() -> None:
    book = orjson.loads(only(distort(TICKER, Action(Deed.CROSSED))))

    assert (book["b"], book["a"], book["B"], book["A"]) == ("1.1", "1.0", "3", "2")


@pytest.mark.parametrize(
    ("deed", "expected"), [(Deed.ZERO, ["0"] * 4), (Deed.NEGATIVE, ["-1.0", "-2", "-1.1", "-3"])]
)
def test_zero_and_negative_books_keep_their_names(deed: Deed, expected: list[str]) -> None:
    book = orjson.loads(only(distort(TICKER, Action(deed))))

    assert [book[name] for name in "bBaA"] == expected
    assert (book["s"], book["u"]) == ("BTCUSDT", 1)


def test_every_level_of_a_depth_is_changed() -> None:
    book = orjson.loads(only(distort(DEPTH, Action(Deed.NEGATIVE))))

    assert book["bids"] == [["-1.0", "-2"], ["-0.9", "-5"]]
    assert book["asks"] == [["-1.1", "-3"]]


@pytest.mark.parametrize(("deed", "event_ms"), [(Deed.LATE, 4_000), (Deed.FUTURE, 6_000)])
def test_event_times_are_shifted(deed: Deed, event_ms: int) -> None:
    book = orjson.loads(only(distort(TIMED, Action(deed, 1000))))

    assert (book["E"], book["T"], book["b"]) == (event_ms, event_ms - 1, "1")


def test_the_next_funding_time_is_no_event_time() -> None:
    mark = orjson.loads(only(distort(MARK, Action(Deed.FUTURE, 1000))))

    assert (mark["E"], mark["T"]) == (6_000, 9_000)


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        (Action(Deed.CROSSED), TICKER, True),
        (Action(Deed.ZERO), DEPTH, True),
        (Action(Deed.CROSSED), MARK, False),
        (Action(Deed.MALFORMED, choice="nan"), MARK, False),
        (Action(Deed.MALFORMED, choice="types"), MARK, True),
        (Action(Deed.MALFORMED, choice="types"), MARKS, False),
        (Action(Deed.LATE, 5), TICKER, False),
        (Action(Deed.LATE, 5), MARKS, True),
        (Action(Deed.GAP), MARKS, True),
    ],
)
def test_a_fault_suits_what_it_can_change(action: Action, payload: bytes, expected: bool) -> None:
    assert suits(action, payload) is expected


@pytest.mark.parametrize("kind", ["truncated", "json", "utf8", "empty"])
def test_these_are_no_json(kind: str) -> None:
    broken = only(distort(TICKER, Action(Deed.MALFORMED, choice=kind)))

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)


def test_wrong_types_keep_the_keys() -> None:
    book = orjson.loads(only(distort(TICKER, Action(Deed.MALFORMED, choice="types"))))

    assert list(book) == ["u", "s", "b", "B", "a", "A"]
    assert {type(value) for value in book.values()} == {dict}


def test_an_unknown_event_has_no_book() -> None:
    event = orjson.loads(only(distort(TICKER, Action(Deed.MALFORMED, choice="event"))))

    assert event == {"e": "neverHeardOf", "s": "BTCUSDT"}


@pytest.mark.parametrize(("kind", "text"), [("nan", b"NaN"), ("infinity", b"Infinity")])
def test_numbers_that_are_none(kind: str, text: bytes) -> None:
    payload = only(distort(TICKER, Action(Deed.MALFORMED, choice=kind)))

    assert payload == NUMBERS % (text, text, text, text)


def test_a_huge_frame_is_still_the_same_book() -> None:
    payload = only(distort(TICKER, Action(Deed.MALFORMED, choice="huge")))

    assert len(payload) > HUGE_BYTES
    assert {**orjson.loads(payload), "pad": ""} == {**orjson.loads(TICKER), "pad": ""}


def test_only_a_binary_frame_is_binary() -> None:
    kinds = {
        kind
        for kind in MALFORMED_KINDS
        if distort(TICKER, Action(Deed.MALFORMED, choice=kind))[0].binary
    }

    assert kinds == {"binary"}
