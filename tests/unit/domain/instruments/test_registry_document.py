"""Stored rows: what other services read, and what comes back."""

import msgspec
import pytest

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.registry_document import (
    change_document,
    change_from_document,
    row_document,
    row_from_document,
)
from tests.contract.registry_rows import change, full_row


@pytest.mark.parametrize(
    "text",
    [
        '{"filterType":"X","value":1.0}',
        '{"nested":{"share":0.10},"filterType":"X"}',
        '{"b":1,"a":2}',
        '{"large":123456789012345678901234567890}',
        '{"nested":[{"value":1.0}]}',
        '["no object"]',
    ],
)
def test_a_filter_comes_back_as_the_same_text(text: str) -> None:
    """However a store writes numbers and orders names: the hash is made of the text."""
    row = full_row("A")
    spec = msgspec.structs.replace(row.content.spec, filters=(text,))
    row = msgspec.structs.replace(row, content=msgspec.structs.replace(row.content, spec=spec))

    stored = msgspec.json.decode(msgspec.json.encode(row_document(row)))

    assert row_from_document(stored) == row
    # All of these would come back differently from one store or another.
    assert stored["filters"] == [text]


def test_fields_of_a_later_version_are_ignored() -> None:
    later = {**row_document(full_row("A")), "field_of_tomorrow": {"a": 1}, "_rev": "x"}

    assert row_from_document(later) == full_row("A")


@pytest.mark.parametrize(
    "damage", [{"tick_size": "many"}, {"version": None}, {"symbol": None}, {"filters": 1}]
)
def test_a_damaged_row_is_named(damage: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=r"the stored row of perp/\w+ is damaged"):
        row_from_document({**row_document(full_row("A")), **damage})


def test_a_damaged_change_is_refused() -> None:
    assert change_from_document(change_document(change("A"))) == change("A")
    for damage in ({"row": 1}, {"source": None}):
        with pytest.raises(InvalidValueError, match="damaged"):
            change_from_document({**change_document(change("A")), **damage})
