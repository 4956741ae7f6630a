"""Paging loses no row, and an impossible page is an error that says what is wrong."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest

from chimera_s1.domain.funding.history_pages import (
    REPEATS_MAX,
    HistoryBatch,
    HistoryPageError,
    HistoryPages,
    HistoryRead,
)
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, Settlement, SettlementKey
from chimera_s1.domain.identifiers import Symbol

A, B, C = Symbol("AUSDT"), Symbol("BUSDT"), Symbol("CUSDT")


def row(time: int, symbol: Symbol = A, rate_type: str = REGULAR, rate: int = 1) -> Settlement:
    return Settlement(SettlementKey(time, symbol, rate_type), Decimal(rate), None)


def read_all(
    pages: HistoryPages, history: Iterable[Settlement], page_size: int
) -> list[HistoryBatch]:
    """What a correct exchange makes of *pages*."""
    history, batches = list(history), list[HistoryBatch]()
    while (read := pages.next_read) is not None:
        found = [
            each
            for each in history
            if read.start <= each.key.funding_time <= read.end
            and read.symbol in {None, each.key.symbol}
        ][:page_size]
        batch = pages.take(found, is_full=len(found) == page_size)
        batches += [] if batch is None else [batch]
    return batches


def rows_of(batches: Sequence[HistoryBatch]) -> list[Settlement]:
    return [each for batch in batches for each in batch.rows]


def test_a_page_that_ends_among_rows_of_one_time_loses_none() -> None:
    history = [row(10, A), row(20, A), row(20, B), row(20, C), row(30, A), row(30, B)]

    batches = read_all(HistoryPages(0, 100), history, page_size=4)

    assert rows_of(batches) == history
    spans = [(each.start, each.complete_to) for each in batches]
    assert [start for start, _ in spans] == [0, *(end + 1 for _, end in spans[:-1])]
    assert spans[-1][1] == 100


def test_the_types_of_one_contract_and_time_are_two_rows_and_a_repeated_row_is_one() -> None:
    history = [row(10, A), row(10, A), row(10, A, SPECIAL)]

    assert rows_of(read_all(HistoryPages(0, 100), history, page_size=9)) == history[1:]


def test_rows_of_one_key_that_differ_are_both_kept_for_the_comparison() -> None:
    history = [row(10, rate=1), row(10, rate=2)]

    assert rows_of(read_all(HistoryPages(0, 100), history, page_size=9)) == history


def test_where_one_time_fills_a_page_the_contracts_are_read_one_by_one() -> None:
    """Also those that the page does not show."""
    history = [row(10, A), row(10, B), row(10, C), row(11, A)]

    batches = read_all(HistoryPages(0, 100, known=[C]), history, page_size=2)

    assert rows_of(batches) == history
    assert batches[0].asked == frozenset({A, B, C})


def test_a_reply_that_was_cut_short_does_not_end_the_window() -> None:
    pages = HistoryPages(0, 100)

    pages.take([row(10, A), row(20, A)], is_full=False)
    assert pages.next_read == HistoryRead(20, 100)
    pages.take([row(20, A), row(20, B), row(30, A)], is_full=False)
    pages.take([row(30, A)], is_full=False)

    assert pages.next_read is None


def test_a_row_that_only_one_of_two_pages_has_is_a_row() -> None:
    pages = HistoryPages(0, 100)
    pages.take([row(10, A), row(20, A), row(20, B)], is_full=False)

    assert pages.take([row(20, A)], is_full=False) is None
    batch = pages.take([row(20, A)], is_full=False)

    assert batch is not None
    assert batch.rows == (row(20, A), row(20, B))


def test_two_pages_that_end_at_one_time_with_other_rows_do_not_end_the_window() -> None:
    """Both were cut short among the rows of that time."""
    pages = HistoryPages(0, 100)
    pages.take([row(10, A), row(20, A)], is_full=False)

    pages.take([row(20, B)], is_full=False)

    assert pages.next_read == HistoryRead(20, 100)


def test_pages_that_never_agree_are_an_error() -> None:
    pages = HistoryPages(20, 100)
    for _ in range(REPEATS_MAX // 2):
        pages.take([row(20, A)], is_full=False)
        pages.take([row(20, B)], is_full=False)

    with pytest.raises(HistoryPageError, match="each page has other rows"):
        pages.take([row(20, A)], is_full=False)


def test_an_empty_window_is_read_twice() -> None:
    pages = HistoryPages(0, 100)

    assert pages.take([], is_full=False) is None
    batch = pages.take([], is_full=False)

    assert batch == HistoryBatch(0, 100, 100, (), frozenset())


def test_an_end_that_is_not_confirmed_is_complete_before_its_last_row() -> None:
    pages = HistoryPages(0, 100, confirms_end=False)

    batch = pages.take([row(10, A), row(20, A)], is_full=False)

    assert batch == HistoryBatch(0, 100, 19, (row(10, A), row(20, A)), frozenset())
    assert pages.next_read is None


@pytest.mark.parametrize(
    ("rows", "is_full", "reason"),
    [
        pytest.param([row(20), row(10)], True, "AUSDT at 10 comes after one at 20", id="order"),
        pytest.param([row(9)], False, "AUSDT at 9 is outside of the window", id="before"),
        pytest.param([row(101)], False, "AUSDT at 101 is outside of the window", id="after"),
        pytest.param([], True, "a full page is empty", id="empty"),
    ],
)
def test_a_page_that_cannot_be_is_an_error(
    rows: list[Settlement], is_full: bool, reason: str
) -> None:
    pages = HistoryPages(10, 100)

    with pytest.raises(HistoryPageError, match=reason):
        pages.take(rows, is_full=is_full)
    assert pages.next_read == HistoryRead(10, 100)


def test_a_row_of_another_contract_is_an_error() -> None:
    pages = HistoryPages(10, 100, symbol=A)

    with pytest.raises(HistoryPageError, match="of AUSDT from 10 to 100: a row of BUSDT"):
        pages.take([row(10, B)], is_full=False)


def test_a_full_page_without_a_readable_row_is_an_error() -> None:
    with pytest.raises(HistoryPageError, match="has no readable row"):
        HistoryPages(10, 100).take([], is_full=True, unusable_of=frozenset({A}))


def test_one_contract_that_fills_a_page_at_one_time_is_an_error() -> None:
    with pytest.raises(HistoryPageError, match="a full page of the one time 20"):
        HistoryPages(10, 100, symbol=A).take([row(20), row(20, A, SPECIAL)], is_full=True)


def test_rows_that_have_gone_on_the_next_page_are_an_error() -> None:
    pages = HistoryPages(0, 100)
    pages.take([row(10), row(20)], is_full=True)

    with pytest.raises(HistoryPageError, match="the rows of its start have gone"):
        pages.take([], is_full=False)


def test_pages_are_bounded() -> None:
    """An exchange that adds a row for each read never ends."""
    pages = HistoryPages(0, 100, pages_max=3)

    for time in range(3):
        pages.take([row(time), row(time + 1)], is_full=True)

    with pytest.raises(HistoryPageError, match="too many pages"):
        pages.take([row(3), row(4)], is_full=True)


def test_an_unusable_row_leaves_its_page_unproven_for_its_contract() -> None:
    pages = HistoryPages(0, 100)

    first = pages.take([row(10), row(20)], is_full=True, unusable_of=frozenset({B}))
    second = pages.take([row(20), row(30)], is_full=True)

    assert first is not None
    assert second is not None
    assert (first.complete_to, first.unproven) == (19, frozenset({B}))
    assert (second.start, second.unproven) == (20, frozenset())
