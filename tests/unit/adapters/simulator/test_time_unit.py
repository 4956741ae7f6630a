"""Times in microseconds: every time, and nothing but times."""

import orjson
import pytest

from chimera_s1.adapters.simulator.time_unit import (
    in_microseconds,
    is_microseconds,
    reply_in_microseconds,
)

NOW = 1_772_514_460_893


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("MICROSECOND", True),
        ("microsecond", True),
        ("MILLISECOND", False),
        ("millisecond", False),
        ("Microsecond", None),
        ("", None),
    ],
)
def test_units_are_those_of_binance(unit: str, expected: bool | None) -> None:
    assert is_microseconds(unit) is expected


def test_a_stream_payload_changes_its_times_only() -> None:
    payload = orjson.dumps({"e": "depthUpdate", "E": NOW, "U": NOW, "u": NOW, "b": [["1", "2"]]})

    changed = orjson.loads(in_microseconds(payload))

    assert changed["E"] // 1000 == NOW
    assert (changed["U"], changed["u"]) == (NOW, NOW)


def test_later_times_stay_later_and_are_not_whole_milliseconds() -> None:
    times = [
        orjson.loads(in_microseconds(b'{"E":%d}' % at_ms))["E"] for at_ms in range(NOW, NOW + 100)
    ]

    assert times == sorted(times)
    assert any(time % 1000 for time in times)


def test_a_reply_changes_its_times_only() -> None:
    reply = {
        "serverTime": NOW,
        "closeTime": NOW,
        "lastId": NOW,
        "count": 7,
        "symbols": [{"time": NOW, "workingTime": -1, "isSpotTradingAllowed": True}],
    }

    changed = orjson.loads(orjson.dumps(reply_in_microseconds(reply)))

    assert changed["serverTime"] // 1000 == changed["closeTime"] // 1000 == NOW
    assert (changed["lastId"], changed["count"]) == (NOW, 7)
    row = changed["symbols"][0]
    assert row["time"] // 1000 == NOW
    assert (row["workingTime"], row["isSpotTradingAllowed"]) == (-1, True)
