"""A cursor hands out each entry once, in order, and says when entries were trimmed unread."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1_client.stream_cursor import Batch, Command, Entry, StreamCursor

COUNT = 3


def entry(number: int, content: str = "") -> Entry:
    return f"{number}-0", {"ts": content or str(number), "src": "binance.spot.bookTicker"}


def answered(entries: Sequence[Entry], command: Command) -> list[Entry]:
    """What Redis replies to *command* where the stream holds *entries*."""
    if command[0] == "XREVRANGE":
        return list(entries[-1:])
    start, count = int(str(command[2]).partition("-")[0]), int(command[5])
    return [each for each in entries if int(each[0].partition("-")[0]) >= start][:count]


def read(cursor: StreamCursor, entries: Sequence[Entry]) -> Batch:
    return cursor.accept(answered(entries, cursor.command(COUNT)), COUNT)


def numbers(batch: Batch) -> list[str]:
    return [entry_id for entry_id, _ in batch.entries]


def test_reading_begins_with_the_newest_entry() -> None:
    cursor = StreamCursor("s")

    assert numbers(read(cursor, [entry(1), entry(2)])) == ["2-0"]
    assert numbers(read(cursor, [entry(1), entry(2), entry(3)])) == ["3-0"]
    assert read(cursor, [entry(3)]) == Batch(())


def test_reading_an_empty_stream_misses_nothing_that_comes() -> None:
    cursor = StreamCursor("s")

    assert read(cursor, []) == Batch(())
    batch = read(cursor, [entry(n) for n in range(1, 6)])
    assert numbers(batch) == ["1-0", "2-0", "3-0", "4-0"]
    assert (batch.more, batch.missing_after) == (True, "")


def test_reading_continues_after_a_stored_id() -> None:
    assert numbers(read(StreamCursor("s", "2-0"), [entry(1), entry(2), entry(3)])) == ["3-0"]


def test_entries_that_were_trimmed_unread_are_noticed() -> None:
    """The last entry read is gone; whether others went with it cannot be known."""
    batch = read(StreamCursor("s", "2-0"), [entry(5)])

    assert numbers(batch) == ["5-0"]
    assert batch.missing_after == "2-0"


def test_a_deleted_stream_is_noticed_once() -> None:
    cursor = StreamCursor("s", "2-0")

    assert read(cursor, []).missing_after == "2-0"
    assert [read(cursor, []).missing_after for _ in range(3)] == ["", "", ""]
    batches = [read(cursor, [entry(9)]) for _ in range(2)]
    assert [numbers(each) for each in batches if each.entries] == [["9-0"]]
    assert not any(each.missing_after for each in batches)


def test_an_entry_is_not_handed_out_again_after_a_failover_that_lost_later_ones() -> None:
    """The replica that took over ends with an entry that the cursor has handed out."""
    cursor, entries = StreamCursor("s"), [entry(1), entry(2), entry(3)]
    for kept in (1, 2, 3):
        read(cursor, entries[:kept])

    assert read(cursor, entries[:2]).missing_after == "3-0"
    assert read(cursor, entries[:2]).entries == ()
    assert numbers(read(cursor, [*entries[:2], entry(4)])) == ["4-0"]


def test_the_content_of_the_stored_position_is_not_handed_out_again() -> None:
    cursor = StreamCursor("s", "2-0")

    assert numbers(read(cursor, [entry(2, "same"), entry(3, "same"), entry(4)])) == ["4-0"]


def test_a_stream_whose_ids_begin_again_is_followed() -> None:
    cursor = StreamCursor("s", "9-0")
    read(cursor, [])

    assert numbers(read(cursor, [entry(1)])) == ["1-0"]
    assert numbers(read(cursor, [entry(1), entry(2)])) == ["2-0"]


def test_the_same_content_under_another_id_is_left_out() -> None:
    cursor = StreamCursor("s", "1-0")

    batch = read(cursor, [entry(1), entry(2, "same"), entry(3, "same")])
    assert numbers(batch) == ["2-0"]
    assert cursor.repeated == 1
    assert cursor.last_id == "3-0"


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 8)), max_size=20))
def test_every_entry_is_handed_out_once_or_reported_missing(
    rounds: list[tuple[int, int]],
) -> None:
    """Entries are added and the stream is trimmed between the reads."""
    cursor, stream = StreamCursor("s"), list[Entry]()
    read(cursor, stream)
    added, handed, reported = 0, list[int](), False
    for new, kept in rounds:
        stream += [entry(added + n) for n in range(1, new + 1)]
        added += new
        stream = stream[-kept:]
        while True:
            batch = read(cursor, stream)
            handed += [int(each.partition("-")[0]) for each in numbers(batch)]
            reported |= bool(batch.missing_after)
            if not batch.more:
                break

    assert handed == sorted(set(handed))
    first_seen = handed[0] if handed else 1
    missed = set(range(first_seen, added + 1)) - set(handed)
    assert not missed or reported
