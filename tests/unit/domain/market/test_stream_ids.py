"""The ids of stream entries."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Channel
from chimera_s1.domain.market.conflation import EVERY_UPDATE, WindowMs, window_end
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import (
    REPEAT_MS,
    LastEntry,
    StreamIds,
    channel_number,
    entry_id,
)
from tests.sample_quotes import quote

SECOND = WindowMs(1000)
NOON = 1_772_514_000_000
HOUR_MS = 3_600_000
BOOK, DEPTH = "binance.spot.bookTicker", "binance.spot.depth5"
BTC = quote().instrument

windows = st.sampled_from([EVERY_UPDATE, WindowMs(50), SECOND])


def received(moment_ms: int, update_id: int = 1, source: str = BOOK, bid: float = 1.0) -> Quote:
    """A quote received *moment_ms* after noon."""
    return quote(bid=bid, ts=NOON + moment_ms, source=source, update_id=update_id)


def started(
    window: WindowMs, last: LastEntry | None = None, *, at_ms: int = 0, channels: int = 1
) -> StreamIds:
    """Ids of a process that begins to publish *at_ms* after noon."""
    ids = StreamIds(window, channels=channels)
    ids.begin(NOON + at_ms)
    ids.seed(BTC, last, NOON + at_ms)
    return ids


def last_entry(ms: int, number: int = 0, ts: int = 0) -> LastEntry:
    """An entry with an id *ms* after noon."""
    return LastEntry(EntryId(NOON + ms, number), NOON + ts)


def assigned(ids: StreamIds, quotes: list[Quote], window: WindowMs, at_ms: int) -> list[str]:
    """The ids given to *quotes*, as milliseconds after noon and number."""
    admitted, unseeded = ids.assign(quotes, NOON + at_ms)
    assert not unseeded
    found = [entry_id(each, window) for each in admitted]
    return [f"{each.ms - NOON}-{each.number}" for each in found]


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "1--2"])
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="not an entry id"):
        EntryId.parse(text)


def test_ids_compare_as_numbers() -> None:
    """Milliseconds first."""
    ordered = ["9-10", "10-2", "10-10", "11-0"]

    assert sorted(map(EntryId.parse, reversed(ordered))) == list(map(EntryId.parse, ordered))


def test_each_channel_has_a_number_of_its_own() -> None:
    """They are on streams: a change would reorder entries across an upgrade."""
    numbers = {channel: channel_number(f"binance.spot.{channel.value}") for channel in Channel}

    assert numbers == {Channel.BOOK_TICKER: 0, Channel.DEPTH5: 1}


def test_a_source_without_a_channel_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="does not end in a channel"):
        channel_number("binance.spot.trade")


def test_quotes_of_a_stream_that_is_not_seeded_are_returned() -> None:
    """Its last id must be read first."""
    ids = StreamIds(SECOND)
    ids.begin(NOON)
    one, other = received(1), quote("spot/ETHUSDT", ts=NOON)
    ids.seed(other.instrument, None, NOON)

    assert ids.assign([one, other], NOON) == ([other], [one])
    ids.begin(NOON)
    assert ids.assign([other], NOON) == ([], [other])


def test_channels_of_one_window_are_put_in_the_order_of_their_ids() -> None:
    """They come from two connections, in any order; kept windows come before."""
    ids = started(SECOND, channels=2)
    quotes = [received(100, source=DEPTH), received(50), received(1100, source=DEPTH)]

    assert assigned(ids, quotes, SECOND, 1200) == ["1000-0", "1000-1", "2000-1"]


def test_a_window_that_is_on_the_stream_is_left_out() -> None:
    """The predecessor published it; the next one follows."""
    ids = started(SECOND, last_entry(1000), at_ms=900)

    assert assigned(ids, [received(500), received(950), received(1000)], SECOND, 1001) == ["2000-0"]
    assert ids.repeated == 2
    assert ids.ahead == 0


def test_with_window_zero_updates_that_are_on_the_stream_are_left_out() -> None:
    """Also where they were received after the last entry; a later one with a smaller update id
    counts again: the venue has started its count anew.
    """
    ids = started(EVERY_UPDATE, last_entry(100, number=7), at_ms=200)

    quotes = [received(90, 6), received(150, 7), received(160, 8)]
    assert assigned(ids, quotes, EVERY_UPDATE, 200) == ["160-8"]
    assert ids.repeated == 2
    later = REPEAT_MS + 101
    assert assigned(ids, [received(later, 1)], EVERY_UPDATE, later) == [f"{later}-1"]


def test_ids_continue_after_a_last_id_that_is_ahead_of_the_clock() -> None:
    """1 ms at a time, until the clock has caught up."""
    ids = started(SECOND, last_entry(2500, number=1))

    assert assigned(ids, [received(100)], SECOND, 1000) == ["2501-0"]
    assert assigned(ids, [received(1100)], SECOND, 2000) == ["2502-0"]
    assert ids.ahead == 2
    assert ids.last_ahead == (BTC, EntryId(NOON + 2502, 0))
    assert assigned(ids, [received(2100)], SECOND, 3000) == ["3000-0"]
    assert ids.ahead == 2


@pytest.mark.parametrize("window", [EVERY_UPDATE, SECOND])
def test_a_clock_that_is_stepped_back_stops_nothing(window: WindowMs) -> None:
    ids = started(window, last_entry(-HOUR_MS))
    assigned(ids, [received(100, 1)], window, 1000)

    ids_after = [
        assigned(ids, [received(ms - HOUR_MS, update)], window, 900 + ms - HOUR_MS)
        for update, ms in enumerate(range(100, 5000, 1000), start=2)
    ]

    assert all(len(each) == 1 for each in ids_after)
    assert ids.ahead == len(ids_after)


def test_frames_of_one_millisecond_keep_their_order() -> None:
    """With window 0 and two channels an update id may repeat or go back; nothing is lost."""
    ids = started(EVERY_UPDATE)
    quotes = [received(5, 9), received(5, 8, DEPTH), received(5, 9, DEPTH), received(6, 10)]

    assert assigned(ids, quotes, EVERY_UPDATE, 6) == ["5-9", "6-8", "6-9", "6-10"]
    assert (ids.ahead, ids.repeated) == (0, 0)


def test_ts_does_not_go_back_at_a_take_over() -> None:
    """The predecessor measured another offset; never later than the receipt."""
    ids = started(SECOND, last_entry(1000, ts=990), at_ms=1000)
    early = structs.replace(received(1100), ts=NOON + 980)

    (admitted,), _ = ids.assign([early], NOON + 2000)

    assert admitted.ts == NOON + 990
    assert early.received_ms == NOON + 1100


steps = st.lists(
    st.tuples(st.integers(-3000, 3000), st.integers(0, 3), st.sampled_from([BOOK, DEPTH])),
    min_size=1,
    max_size=40,
)


@given(windows, steps, st.integers(-5000, 5000), st.integers(0, 20))
def test_ids_of_a_stream_only_grow(
    window: WindowMs, moves: list[tuple[int, int, str]], last_ms: int, number: int
) -> None:
    """Whatever the clock does, from whatever the stream holds."""
    last = last_entry(last_ms, number)
    ids = started(window, last, channels=2)
    clock_ms, update, found = 0, 0, [last.entry_id]
    for step_ms, updates, source in moves:
        clock_ms, update = clock_ms + step_ms, update + updates
        admitted, _ = ids.assign([received(clock_ms, update, source)], NOON + clock_ms)
        found += [entry_id(each, window) for each in admitted]

    assert all(one < other for one, other in pairwise(found))
    assert len(found) - 1 + ids.repeated == len(moves)


@given(
    windows,
    st.lists(st.integers(1, 400), min_size=2, max_size=60),
    st.data(),
)
def test_a_take_over_repeats_nothing_and_misses_nothing(
    window: WindowMs, gaps_ms: list[int], data: st.DataObject
) -> None:
    """The predecessor ends after some window; the successor received the same frames, has kept the
    last ones, and publishes what follows.
    """
    moments = [sum(gaps_ms[: count + 1]) for count in range(len(gaps_ms))]
    frames = [received(moment, update) for update, moment in enumerate(moments, start=1)]
    newest = {window_end(frame.received_ms, window): frame for frame in frames}
    quotes = list(newest.values()) if window else frames
    cut = data.draw(st.integers(1, len(quotes)))
    predecessor = started(window)
    before, _ = predecessor.assign(quotes[:cut], NOON + moments[-1])
    end = before[-1]
    kept = data.draw(st.integers(0, cut))
    successor = started(
        window, LastEntry(entry_id(end, window), end.ts), at_ms=moments[-1], channels=1
    )

    after, _ = successor.assign(quotes[kept:], NOON + moments[-1])

    assert [*before, *after] == quotes
