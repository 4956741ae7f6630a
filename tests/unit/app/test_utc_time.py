"""Times that operators write."""

import pytest

from chimera_s1.app.utc_time import (
    format_minute,
    format_second,
    format_utc,
    parse_since,
    parse_time,
)
from chimera_s1.domain.errors import InvalidValueError

NOW_MS = 1_796_000_000_000  # 2026-11-30T00:53:20Z


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("30min", 30 * 60_000),
        ("24h", 24 * 3_600_000),
        ("7d", 7 * 86_400_000),
        ("0h", 0),
        ("2026-11-30", 53 * 60_000 + 20_000),
        ("2026-11-30T00:53", 20_000),
        ("2026-11-30T01:53+01:00", 20_000),
        ("2026-11-30T00:53:20Z", 0),
    ],
)
def test_a_time_is_an_age_or_a_date_in_utc(text: str, ago_ms: int) -> None:
    assert NOW_MS - parse_since(text, NOW_MS) == ago_ms


@pytest.mark.parametrize("text", ["2026-11-30T00:53:21", "2026-12-01", "9999-12-31"])
def test_a_time_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"in the future; it is 2026-11-30T00:53:20.000Z"):
        parse_since(text, NOW_MS)


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "-1h", "1.5h", "123456d", "24 h"])
def test_another_text_is_refused_with_what_may_be_written(text: str) -> None:
    with pytest.raises(InvalidValueError, match="write 24h, 7d or 30min ago, or 2026-11-27T08:00"):
        parse_since(text, NOW_MS)


def test_a_time_outside_the_calendar_is_shown_as_a_number() -> None:
    assert format_utc(NOW_MS) == "2026-11-30T00:53:20.000Z"
    assert format_utc(10**18) == str(10**18)


@pytest.mark.parametrize(
    "text",
    [
        "1796000000000",
        "2026-11-30T00:53:20Z",
        "2026-11-30 00:53:20",
        "2026-11-30T01:53:20+01:00",
        "20261130T005320",
    ],
)
def test_a_moment_is_epoch_ms_or_a_date_in_utc(text: str) -> None:
    assert parse_time(text) == NOW_MS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1796000000", "1796000000 is not a time in ms; epoch ms have 13 digits"),
        ("yesterday", "write epoch ms, or UTC like 2026-11-27T08:00Z"),
        ("", "write epoch ms"),
        ("-1796000000000", "write epoch ms"),
        ("2026-02-30", "write epoch ms"),
    ],
)
def test_no_moment_is_refused_with_what_may_be_written(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValueError, match=sentence):
        parse_time(text)


def test_a_time_is_shortened_for_a_terminal() -> None:
    assert format_second(NOW_MS) == "2026-11-30 00:53:20"
    assert format_minute(NOW_MS) == "2026-11-30 00:53"
