"""What a replay checks before it writes: newer entries, live publishers, rebased times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.market_file import RecordedMessage
from chimera_s1.app.cli.replay.target_check import (
    LIVE_MS,
    FileSummary,
    check_publishers,
    check_streams,
    rebase_shift_ms,
    summarize,
)
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.quote_reader import PublishedQuote

BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
FILE = FileSummary(9, 10_000, 40_000, {BTC: 10_000, ETH: 12_000})
NOW_MS = 1_000_000


def entry(
    at_ms: int, instrument: InstrumentId = BTC, source: str = "binance.spot.bookTicker"
) -> PublishedQuote:
    return PublishedQuote(f"{at_ms}-0", instrument, (("ts", str(at_ms)), ("src", source)))


def check(*newest: PublishedQuote) -> None:
    check_streams(FILE, newest, shift_ms=0, rebased=False)


def test_older_entries_are_no_obstacle() -> None:
    check(entry(9_999), entry(11_999, ETH))


@pytest.mark.parametrize("newer", [entry(10_000), entry(12_000, ETH)])
def test_an_entry_that_is_not_older_than_the_file_refuses_it(newer: PublishedQuote) -> None:
    with pytest.raises(ConfigurationError, match=f"already in .*{newer.instrument.symbol};"):
        check(newer)


def test_the_later_of_entry_id_and_ts_counts() -> None:
    """With entry ids of Redis's own clock, a replayed stream may have an id far above its ts."""
    late_id = PublishedQuote("99999-0", BTC, (("ts", "5"), ("src", "replay.spot.bookTicker")))

    with pytest.raises(ConfigurationError, match="already in mkt"):
        check(late_id)


def test_many_streams_are_counted() -> None:
    with pytest.raises(ConfigurationError, match="and 2 more streams; nothing was written"):
        check(*[entry(50_000)] * 5)


@pytest.mark.parametrize(
    ("newest", "refused"),
    [
        (entry(NOW_MS - LIVE_MS + 1), True),
        (entry(NOW_MS - LIVE_MS), False),
        (entry(NOW_MS - 1, source="replay.spot.bookTicker"), False),
    ],
)
def test_an_entry_of_a_service_is_live_for_a_minute(newest: PublishedQuote, refused: bool) -> None:
    if refused:
        with pytest.raises(ConfigurationError, match="new entries in mkt:events:spot:BTCUSDT"):
            check_publishers((), [newest], NOW_MS)
    else:
        check_publishers((), [newest], NOW_MS)


def test_a_held_lease_is_a_service_however_calm_its_streams_are() -> None:
    with pytest.raises(ConfigurationError, match="publisher lease live:spot:"):
        check_publishers(("live:spot:*",), [], NOW_MS)


@given(st.integers(0, 10**6), st.none() | st.floats(0.01, 1000))
def test_a_rebased_replay_never_runs_ahead_of_the_clock(at_ms: int, speed: float | None) -> None:
    """A message that is due *at_ms* into the file gets a time at or before its publication."""
    summary = FileSummary(2, 5_000, 5_000 + 10**6, {})
    shift_ms = rebase_shift_ms(summary, NOW_MS, speed)

    published_ms = NOW_MS + (at_ms / speed if speed is not None else 0)
    assert 5_000 + at_ms + shift_ms <= published_ms + 1


def test_a_file_is_summarized() -> None:
    def message(ts: int, stream: str) -> RecordedMessage:
        return RecordedMessage(ts, Venue.SPOT, stream, b"{}", b"{}")

    records = [
        message(30, "btcusdt@bookTicker"),
        message(20, "btcusdt@depth5@100ms"),
        message(10, "btcusdt@trade"),
        message(40, "ethusdt@bookTicker"),
    ]
    assert summarize(records) == FileSummary(4, 10, 40, {BTC: 20, ETH: 40})
