"""
Venue, symbol and instrument: what is accepted, and that what is accepted prints as it reads.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import SYMBOL_LENGTH_MAX, InstrumentId, Venue, parse_symbol
from tests.unit.domain.strategies import instruments, symbols


@given(instruments)
def test_an_instrument_reads_back_from_its_text(instrument: InstrumentId) -> None:
    assert InstrumentId.parse(str(instrument)) == instrument


@given(symbols)
def test_a_symbol_is_upper_case_without_surrounding_space(symbol: str) -> None:
    assert parse_symbol(f"  {symbol.lower()}\n") == symbol


@given(st.text())
def test_what_is_accepted_is_safe_in_a_stream_name(text: str) -> None:
    """
    A symbol survives being parsed again and cannot break a Redis key, a hash slot or a URL path.
    """
    try:
        symbol = parse_symbol(text)
    except InvalidValueError:
        return

    assert parse_symbol(symbol) == symbol
    assert 1 <= len(symbol) <= SYMBOL_LENGTH_MAX
    assert not set(symbol) & set(":{}/@*, \t\r\n")
    assert symbol.encode().decode() == symbol


@pytest.mark.parametrize("text", ["币安人生USDT", "1000SATSUSDT", "A" * SYMBOL_LENGTH_MAX])
def test_symbols_binance_really_lists_are_accepted(text: str) -> None:
    assert parse_symbol(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1 to 64 characters"),
        ("   ", "1 to 64 characters"),
        ("A" * (SYMBOL_LENGTH_MAX + 1), "1 to 64 characters"),
        ("BTC/USDT", "'/' cannot be part"),
        ("BTC{1}", "'{' '}' cannot be part"),
        ("BTC\u200bUSDT", "cannot be part"),
    ],
)
def test_a_refused_symbol_is_told_why(text: str, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        parse_symbol(text)


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "", "/", "SPOT/BTCUSDT", "margin/BTCUSDT", "spot/", "spot/BTC/USDT"]
)
def test_a_text_that_is_no_instrument_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        InstrumentId.parse(text)


def test_instruments_sort_by_venue_then_symbol() -> None:
    names = ["spot/AAA", "perp/BBB", "spot/ABA", "perp/AAA"]

    assert [str(i) for i in sorted(map(InstrumentId.parse, names))] == sorted(names)
    assert [venue.value for venue in Venue] == ["spot", "perp"]
