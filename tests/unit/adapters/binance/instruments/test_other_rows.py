"""Rows of brackets, funding intervals and schedules: what cannot be read costs one row."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.instruments.funding_intervals import decode_interval
from chimera_s1.adapters.binance.instruments.leverage_brackets import decode_brackets, rows
from chimera_s1.adapters.binance.instruments.schedules import (
    decode_delisting,
    decode_session,
    session_rows,
)

BRACKET = {
    "bracket": 1,
    "initialLeverage": 75,
    "notionalCap": 9_223_372_036_854_775_807,
    "notionalFloor": 0,
    "maintMarginRatio": 0.0065,
    "cum": 0.1,
}
DECODERS: dict[str, tuple[Callable[[Raw], object], dict[str, Any]]] = {
    "brackets": (
        partial(decode_brackets, "live:1"),
        {"symbol": "ETHUSDT", "notionalCoef": 1.5, "brackets": [BRACKET]},
    ),
    "interval": (decode_interval, {"symbol": "ETHUSDT", "fundingIntervalHours": 4}),
    "delisting": (decode_delisting, {"delistTime": 1, "symbols": ["ADAUSDT"]}),
    "session": (decode_session, {"startTime": 1, "endTime": 2, "type": "REGULAR"}),
    "schedule": (session_rows, {"sessions": [{}]}),
}
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "NaN", "-1", "1e400", "0", "8", "x" * 5_000, "\u202e"]),
    st.sampled_from([[], [None], [{}], {}, {"symbol": {}}, [[1]]]),
)


@settings(max_examples=100)
@given(st.sampled_from(sorted(DECODERS)), st.data())
def test_a_mutated_row_is_read_or_named(kind: str, data: st.DataObject) -> None:
    """Nothing else is raised, whatever stands where; inside of a bracket, too."""
    decode, good = DECODERS[kind]
    row = msgspec.json.decode(msgspec.json.encode(good))
    place = data.draw(st.sampled_from(["row", "field", "missing", "inside"]))
    name = data.draw(st.sampled_from(sorted(row)))
    match place:
        case "row":
            row = data.draw(JUNK)
        case "missing":
            del row[name]
        case "inside" if kind == "brackets":
            row["brackets"][0][data.draw(st.sampled_from(sorted(BRACKET)))] = data.draw(JUNK)
        case _:
            row[name] = data.draw(JUNK)
    reported: list[UnusableRow] = []
    reader = RowReader(reported.append)
    read = reader.read_row("GET rows", Raw(msgspec.json.encode(row)), decode)

    assert reported == ([read] if isinstance(read, UnusableRow) else [])


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_the_unchanged_row_is_read(kind: str) -> None:
    """Otherwise the test above would prove nothing."""
    decode, good = DECODERS[kind]

    assert decode(Raw(msgspec.json.encode(good)))


def test_numbers_of_brackets_are_exact() -> None:
    """They are JSON numbers; one object is read like an array of one."""
    (row,) = rows({"symbol": Raw(b'"X"'), "brackets": Raw(msgspec.json.encode([BRACKET]))})
    _, brackets = decode_brackets("live:1", row)

    assert brackets.brackets[0].notional_cap == Decimal(9223372036854775807)
    assert brackets.brackets[0].maintenance_margin_ratio == Decimal("0.0065")
    assert brackets.brackets[0].cumulative == Decimal("0.1")


@pytest.mark.parametrize("number", [b"1e99999999", b"1e9999999999999999999", b"9" * 10_000])
def test_a_number_that_does_not_fit_costs_its_row_only(number: bytes) -> None:
    """Some of them are no decimals at all."""
    row = msgspec.json.encode(DECODERS["brackets"][1]).replace(b"0.0065", number)
    read = RowReader(lambda _: None).read_row("GET rows", Raw(row), DECODERS["brackets"][0])

    assert isinstance(read, UnusableRow)
