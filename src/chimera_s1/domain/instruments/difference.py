"""What changed between two contents, for people: field, old text, new text."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import msgspec
from msgspec import Struct

from chimera_s1.domain.canonical import canonical_json, plain
from chimera_s1.domain.instruments.instrument import InstrumentContent, LeverageBracket

Difference: TypeAlias = tuple[tuple[str, str, str], ...]


def difference(old: InstrumentContent, new: InstrumentContent) -> Difference:
    """In the order of the fields; a side that has no value is empty.

    A filter is named by its type (`filters.PRICE_FILTER`), a bracket by its number
    (`leverage_brackets.2`).
    """
    before, after = dict(_texts(old)), dict(_texts(new))
    # A field that is new stands behind all that were there before.
    return tuple(
        (name, before.get(name, ""), after.get(name, ""))
        for name in before | after
        if before.get(name, "") != after.get(name, "")
    )


def _texts(content: InstrumentContent) -> Iterator[tuple[str, str]]:
    for name, value in _items(content.spec):
        if name == "filters":
            yield from _filter_texts(content.spec.filters)
        else:
            yield name, _text(value)
    for name, value in _items(content):
        match name:
            case "spec":
                pass
            case "leverage_brackets" if content.leverage_brackets is not None:
                yield "leverage_brackets.account", content.leverage_brackets.account
                yield (
                    "leverage_brackets.notional_coef",
                    _text(content.leverage_brackets.notional_coef),
                )
                yield from _bracket_texts(content.leverage_brackets.brackets)
            case "risk" if content.risk is not None:
                yield from ((f"risk.{key}", _text(item)) for key, item in _items(content.risk))
            case _:
                yield name, _text(value)


def _filter_texts(filters: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    named: dict[str, list[str]] = {}
    for text in filters:
        named.setdefault(f"filters.{filter_type(text)}", []).append(text)
    return ((name, ",".join(texts)) for name, texts in named.items())


@lru_cache(maxsize=2_048)
def filter_type(text: str) -> str:
    """The `filterType` of a filter as the registry keeps it."""
    return str(msgspec.json.decode(text)["filterType"])


def _bracket_texts(brackets: tuple[LeverageBracket, ...]) -> Iterator[tuple[str, str]]:
    for bracket in brackets:
        floor, cap = _text(bracket.notional_floor), _text(bracket.notional_cap)
        ratio, cumulative = _text(bracket.maintenance_margin_ratio), _text(bracket.cumulative)
        text = f"{bracket.initial_leverage}x, {floor} to {cap}, maintenance {ratio} - {cumulative}"
        yield f"leverage_brackets.{bracket.bracket}", text


def _items(value: Struct) -> Iterator[tuple[str, object]]:
    return ((name, getattr(value, name)) for name in value.__struct_fields__)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(_text, value))
        case str():
            return value
        case _:
            text = plain(value)
            return text if isinstance(text, str) else canonical_json(text)
