"""No control character, C0, C1 or bidirectional, is left in an escaped text."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.printable import escape_json, escape_lines, escape_unprintable
from tests.unit.domain.strategies import CONTROL_CHARACTERS, texts_with_controls


def test_the_controls_are_those_of_a_terminal() -> None:
    assert {"\0", "\a", "\b", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x9b", "\x9f"} <= set(
        CONTROL_CHARACTERS
    )
    assert {"\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\ufeff"} <= set(CONTROL_CHARACTERS)


@pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=ascii)
def test_each_control_is_escaped_alone(character: str) -> None:
    assert escape_unprintable(f"a{character}b") == "a{}b".format(
        character.encode("unicode_escape").decode()
    )


@given(texts_with_controls)
def test_an_escaped_text_is_one_printable_line(text: str) -> None:
    assert escape_unprintable(text).isprintable()
    assert escape_unprintable(escape_unprintable(text)) == escape_unprintable(text)


@given(texts_with_controls)
def test_escaped_lines_keep_their_line_feeds_only(text: str) -> None:
    lines = escape_lines(text, indent="    ").split("\n")

    assert len(lines) == text.count("\n") + 1
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])


@given(st.dictionaries(texts_with_controls, texts_with_controls))
def test_escaped_json_has_the_same_value(value: dict[str, str]) -> None:
    for encoded in (json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2)):
        escaped = escape_json(encoded)
        assert json.loads(escaped) == value
        assert all(line.isprintable() for line in escaped.split("\n"))


@given(st.text().filter(str.isprintable))
def test_a_printable_text_is_unchanged(text: str) -> None:
    assert escape_unprintable(text) == escape_lines(text) == escape_json(text) == text


def test_the_categories_are_complete() -> None:
    """Every control and format character that this Python knows."""
    characters = map(chr, range(sys.maxunicode + 1))
    controls = [each for each in characters if unicodedata.category(each) in {"Cc", "Cf"}]

    assert not any(map(str.isprintable, controls))
