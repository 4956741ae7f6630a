"""Rows are decoded one by one, and an unusable one is named once."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chimera_s1.adapters.binance.http.row_reader import NAMED_MAX, RowReader, UnusableRow
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError


def whole_number(row: Raw) -> int:
    number = msgspec.json.decode(row, type=int)
    if number < 0:
        raise InvalidValueError(f"{number} is negative")
    return number


class Reading:
    """A reader of whole numbers, and what it reported."""

    def __init__(self) -> None:
        self.reported: list[UnusableRow] = []
        self._reader = RowReader(self.reported.append)

    def read(self, rows: Sequence[bytes]) -> list[int]:
        return self._reader.read("GET /rows", [Raw(row) for row in rows], whole_number)


@given(st.lists(st.sampled_from([b"1", b"2", b"-3", b'"x"', b"{", b"\xff", b'{"symbol":4}'])))
def test_a_row_never_costs_another_one(rows: list[bytes]) -> None:
    reading = Reading()
    usable = [int(row) for row in rows if row in {b"1", b"2"}]

    if rows and not usable:
        with pytest.raises(ExchangeUnavailableError, match="GET /rows: not one row can be used"):
            reading.read(rows)
    else:
        assert reading.read(rows) == usable


def test_an_unusable_row_is_named_once() -> None:
    """By its symbol where it has one, else by its first bytes; again only for another reason."""
    reading = Reading()
    for _ in range(2):
        reading.read([b"1", b"-3", b'{"symbol":"BTC\\nUSDT","status":1}'])

    assert [(row.source, row.name, row.reason) for row in reading.reported] == [
        ("GET /rows", "-3", "-3 is negative"),
        ("GET /rows", "BTC USDT", "Expected `int`, got `object`"),
    ]


def test_the_number_of_named_rows_is_bounded() -> None:
    reading = Reading()

    assert reading.read([b"1", *(b"-%d" % n for n in range(1, NAMED_MAX + 9))]) == [1]
    assert len(reading.reported) == NAMED_MAX
