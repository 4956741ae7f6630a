"""Parsing of symbols, instruments and transfer ids."""

import string
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import (
    SYMBOL_LENGTH_MAX,
    TRANSFER_ID_PATTERN,
    InstrumentId,
    Venue,
    parse_symbol,
    parse_transfer_id,
)
from tests.unit.domain.strategies import instruments, symbols


@given(instruments)
def test_an_instrument_survives_a_text_round_trip(instrument: InstrumentId) -> None:
    assert InstrumentId.parse(str(instrument)) == instrument


@given(symbols)
def test_a_symbol_is_upper_case_without_surrounding_space(symbol: str) -> None:
    assert parse_symbol(f"  {symbol.lower()}\n") == symbol


@given(st.text())
def test_an_accepted_symbol_is_safe_in_a_stream_name(text: str) -> None:
    """A symbol cannot break a Redis key, a hash slot or a URL path, and parses to itself."""
    try:
        symbol = parse_symbol(text)
    except InvalidValueError:
        return

    assert parse_symbol(symbol) == symbol
    assert 1 <= len(symbol) <= SYMBOL_LENGTH_MAX
    assert not set(symbol) & set(":{}/@*, \t\r\n")
    assert symbol.encode().decode() == symbol


@pytest.mark.parametrize("text", ["币安人生USDT", "1000SATSUSDT", "A" * SYMBOL_LENGTH_MAX])
def test_symbols_listed_by_binance_are_accepted(text: str) -> None:
    assert parse_symbol(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 to 64 characters"),
        ("   ", "1 to 64 characters"),
        ("A" * (SYMBOL_LENGTH_MAX + 1), "1 to 64 characters"),
        ("BTC/USDT", "'/' cannot be part"),
        ("BTC{1}", "'{' '}' cannot be part"),
        ("BTC\u200bUSDT", "cannot be part"),
    ],
)
def test_the_error_of_an_invalid_symbol_names_the_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_symbol(text)


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "", "/", "SPOT/BTCUSDT", "margin/BTCUSDT", "spot/", "spot/BTC/USDT"]
)
def test_an_invalid_instrument_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        InstrumentId.parse(text)


def test_instruments_sort_by_venue_then_symbol() -> None:
    names = ["spot/AAA", "perp/BBB", "spot/ABA", "perp/AAA"]

    assert [str(i) for i in sorted(map(InstrumentId.parse, names))] == sorted(names)
    assert [venue.value for venue in Venue] == ["spot", "perp"]


BEGINNINGS = string.ascii_letters + string.digits
CHARACTERS = f"{BEGINNINGS}._:~@+=,-"
near_ids = st.text(st.sampled_from(f"{CHARACTERS}/?#% \"'\\\n\x00é٣"), max_size=130)


@given(st.one_of(st.text(), near_ids, st.from_regex(TRANSFER_ID_PATTERN)))
def test_exactly_the_documented_transfer_ids_are_accepted(text: str) -> None:
    follows = 1 <= len(text) <= 128 and text[0] in BEGINNINGS and set(text) <= set(CHARACTERS)

    if follows:
        assert parse_transfer_id(text) == text
        return
    with pytest.raises(InvalidValueError, match="1 to 128 letters, digits or any of"):
        parse_transfer_id(text)


@given(st.from_regex(TRANSFER_ID_PATTERN, fullmatch=True))
def test_a_transfer_id_needs_no_escape_in_a_path_or_a_header(text: str) -> None:
    name = parse_transfer_id(text)
    path = urlsplit(f"http://host/transfer/{name}/resolve").path

    assert path.split("/") == ["", "transfer", name, "resolve"]
    assert quote(name, safe=":@+=,") == name
    assert name not in {".", ".."}
    assert all("!" <= character <= "~" for character in name)
    assert name.strip(' "') == name


@pytest.mark.parametrize(
    "text",
    ["2121bbb9-7850-4ee1-a872-5ebc4536729c", "a", "7", "A" * 128, "2026-11-26T09:00+margin=1"],
)
def test_typical_transfer_ids_are_accepted(text: str) -> None:
    assert parse_transfer_id(text) == text


@pytest.mark.parametrize("text", ["", "a" * 129, "-a", ".", "a b", "a\n", "a/b", "ä", "a;b"])
def test_an_invalid_transfer_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_transfer_id(text)
