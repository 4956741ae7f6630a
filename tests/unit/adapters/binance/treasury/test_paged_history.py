"""Reading a history completely while rows move between pages."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chimera_s1.adapters.binance.treasury.paged_history import (
    SPAN_MAX_MS,
    HistoryPage,
    HistoryRow,
    read_movements,
    read_row,
    split_window,
)
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.ports.treasury_gateway import HistoryIncompleteError
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement, MovementStatus

WINDOW = ExecutionWindow(1_000, 2_000)
PAGE_ROWS = 3


def row(number: int, *, moved_at: int = 1_500, status: str = "CONFIRMED") -> HistoryRow:
    tran_id = str(number)
    return HistoryRow(
        tran_id,
        Movement(
            tran_id,
            Direction.SPOT_TO_FUT,
            Decimal(number + 1),
            MovementStatus(status),
            moved_at,
        ),
    )


class History:
    """Pages of three rows; each step of `script` changes the rows before a page is read."""

    def __init__(
        self, rows: list[HistoryRow], script: list[Callable[[list[HistoryRow]], None]]
    ) -> None:
        self.rows = rows
        self.script = script
        self.pages_read = 0

    async def page(self, span: ExecutionWindow, number: int) -> HistoryPage:  # noqa: ARG002 (all rows are inside)
        if self.pages_read < len(self.script):
            self.script[self.pages_read](self.rows)
        self.pages_read += 1
        start = (number - 1) * PAGE_ROWS
        return HistoryPage(len(self.rows), tuple(self.rows[start : start + PAGE_ROWS]))


def stay(rows: list[HistoryRow]) -> None:
    """The rows stay as they are."""


def ids(movements: tuple[Movement, ...]) -> list[int]:
    return sorted(int(movement.tran_id) for movement in movements)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 250])
async def test_an_unchanged_history_is_read_twice(count: int) -> None:
    """Every page of both passes."""
    history = History([row(number) for number in range(count)], [])

    assert ids(await read_movements(history.page, WINDOW)) == list(range(count))
    assert history.pages_read == 2 * max(1, -(-count // PAGE_ROWS))


async def test_a_row_that_slips_between_pages_is_not_missed() -> None:
    """The first row disappears after page 1 is read, and row 3 moves to that page."""

    def lose_first(rows: list[HistoryRow]) -> None:
        rows.pop(0)

    history = History([row(number) for number in range(7)], [stay, lose_first])

    assert ids(await read_movements(history.page, WINDOW)) == [1, 2, 3, 4, 5, 6]


async def test_a_row_that_comes_twice_counts_once() -> None:
    """On one page, which is one consistent snapshot."""
    history = History([row(1), row(2), row(1), row(3)], [])

    assert ids(await read_movements(history.page, WINDOW)) == [1, 2, 3]


async def test_a_row_on_two_pages_hides_another() -> None:
    """In both passes, so that they agree: the row between the pages would still be missed."""

    def turn(places: int) -> Callable[[list[HistoryRow]], None]:
        def change(rows: list[HistoryRow]) -> None:
            rows[:] = rows[places:] + rows[:places]

        return change

    rows = [row(number) for number in range(4)]
    history = History(rows, [stay, turn(1), turn(3), turn(1), turn(3)])

    assert ids(await read_movements(history.page, WINDOW)) == [0, 1, 2, 3]
    assert history.pages_read == 8


async def test_two_different_rows_of_one_movement_raise() -> None:
    """One id with two statuses, in every pass."""
    history = History([row(1), row(1, status="FAILED")], [])

    with pytest.raises(ExchangeUnavailableError, match="two different rows for movement 1"):
        await read_movements(history.page, WINDOW)


async def test_a_history_that_keeps_changing_raises() -> None:
    """Each pass finds another row in place of the last one, for a bounded number of passes."""

    def replace(rows: list[HistoryRow]) -> None:
        rows[:] = [row(int(rows[0].tran_id) + 1)]

    history = History([row(1)], [replace] * 1_000)
    with pytest.raises(ExchangeUnavailableError, match="kept changing"):
        await read_movements(history.page, WINDOW)
    assert history.pages_read < 1_000


async def test_rows_that_are_added_all_the_time_do_not_stop_the_read() -> None:
    """Money moves between any two requests: the result is the later pass, with the new row."""

    def grow(rows: list[HistoryRow]) -> None:
        rows.append(row(len(rows)))

    history = History([row(0)], [grow] * 1_000)

    assert ids(await read_movements(history.page, WINDOW)) == [0, 1, 2]
    assert history.pages_read == 2


async def test_a_status_that_changes_between_passes_is_read_again() -> None:
    """The result was read twice."""

    def confirm(rows: list[HistoryRow]) -> None:
        rows[0] = row(1)

    history = History([row(1, status="PENDING")], [stay, confirm])
    (movement,) = await read_movements(history.page, WINDOW)

    assert movement.status is MovementStatus.CONFIRMED
    assert history.pages_read == 3


@pytest.mark.parametrize("total", [2, 4])
async def test_a_total_that_does_not_fit_its_rows_raises(total: int) -> None:
    """Fewer rows than announced, or more."""

    async def page(span: ExecutionWindow, number: int) -> HistoryPage:  # noqa: ARG001 (always the same)
        return HistoryPage(total, (row(1), row(2), row(3)) if number == 1 else ())

    with pytest.raises(ExchangeUnavailableError):
        await read_movements(page, WINDOW)


async def test_rows_outside_the_window_and_of_other_assets_are_left_out() -> None:
    """They count as rows, so that the total fits, and are not returned."""
    rows = [row(1, moved_at=999), row(2, moved_at=1_000), row(3, moved_at=2_000)]
    history = History([*rows, row(4, moved_at=2_001), HistoryRow("5", None)], [])

    assert ids(await read_movements(history.page, WINDOW)) == [2, 3]


CHANGES = st.one_of(
    st.just(("stay", 0)),
    st.tuples(st.just("insert"), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("rotate"), st.integers(1, 9)),
)


@given(st.integers(0, 9), st.lists(CHANGES, max_size=12))
async def test_a_row_present_all_the_time_is_never_missed(
    count: int, changes: list[tuple[str, int]]
) -> None:
    """Rows come, go and move between any two pages; those that stay are all returned."""
    rows = [row(number) for number in range(count)]
    lasting = set(range(count))
    fresh = iter(range(1_000, 2_000))

    def step(kind: str, place: int) -> Callable[[list[HistoryRow]], None]:
        def change(rows: list[HistoryRow]) -> None:
            if kind == "insert":
                rows.insert(place, row(next(fresh)))
            elif kind == "remove" and rows:
                lasting.discard(int(rows.pop(place % len(rows)).tran_id))
            elif kind == "rotate" and rows:
                rows[:] = rows[place % len(rows) :] + rows[: place % len(rows)]

        return change

    history = History(rows, [step(*change) for change in changes])
    try:
        found = ids(await read_movements(history.page, WINDOW))
    except ExchangeUnavailableError:
        return
    assert lasting <= set(found)
    assert len(found) == len(set(found))


@given(st.integers(0, 10**12), st.integers(0, 10**11))
def test_a_long_window_is_split_without_gaps(start: int, length: int) -> None:
    """Each within seven days, end to end."""
    pieces = list(split_window(ExecutionWindow(start, start + length)))

    assert pieces[0].start == start
    assert pieces[-1].end == start + length
    assert all(piece.end - piece.start <= SPAN_MAX_MS for piece in pieces)
    for before, after in pairwise(pieces):
        assert after.start == before.end + 1


def unusable(number: int) -> HistoryRow:
    return HistoryRow(f"?{number}", None, f"row {number}: odd")


async def test_a_row_that_cannot_be_used_does_not_hide_the_others() -> None:
    """The others may prove success; the row may be the movement that is looked for."""
    history = History([row(0), unusable(1), unusable(2), row(3)], [])

    with pytest.raises(HistoryIncompleteError) as raised:
        await read_movements(history.page, WINDOW)

    assert ids(raised.value.usable) == [0, 3]
    assert str(raised.value).startswith("2 of 4 rows of the transfer history cannot be used")
    assert str(raised.value).endswith("the first is row 1: odd")


async def test_an_unusable_row_outside_the_first_pass_needs_another_pass() -> None:
    def spoil(rows: list[HistoryRow]) -> None:
        rows[0] = unusable(0)

    history = History([row(0), row(1)], [stay, spoil])

    with pytest.raises(HistoryIncompleteError) as raised:
        await read_movements(history.page, WINDOW)

    assert ids(raised.value.usable) == [1]
    assert history.pages_read == 3


def parse_number(raw: Raw) -> HistoryRow:
    number = msgspec.json.decode(raw, type=int)
    if number > 9:
        raise InvalidValueError("above 9")
    return row(number)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'"x"', '"x": Expected `int`, got `str`'),
        (b"10", "10: above 9"),
        (b"\xff", "JSON is malformed"),
    ],
)
def test_an_unusable_row_says_what_it_is_and_why(raw: bytes, why: str) -> None:
    read = read_row(Raw(raw), parse_number)

    assert read.movement is None
    assert why in read.unusable


def test_a_usable_row_is_its_movement() -> None:
    assert read_row(Raw(b"7"), parse_number) == row(7)
