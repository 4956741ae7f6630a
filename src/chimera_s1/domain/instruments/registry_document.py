"""Rows and changes of the registry as the stores keep them; other services read the rows.

A row is flat: the attributes of its spec, of its content and of itself stand side by side, with
`venue` and `symbol`. Exact decimals are strings, times epoch ms. docs/instrument-registry.md
describes each field.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    RegistryChange,
    RegistryRow,
)

Document: TypeAlias = dict[str, object]

_EXACT_INTEGER_MAX = 2**53
_encode_canonical = msgspec.json.Encoder(order="deterministic").encode


def row_document(row: RegistryRow) -> Document:
    spec = row.content.spec
    flat: Document = {}
    for part in (spec.instrument, spec, row.content, row):
        flat |= msgspec.structs.asdict(part)
    for nested in ("instrument", "spec", "content"):
        del flat[nested]
    document: Document = msgspec.to_builtins(flat)
    return {**document, "filters": [_readable(text) for text in spec.filters]}


def row_from_document(document: Mapping[str, object]) -> RegistryRow:
    """Raises: InvalidValueError: A field is missing or has another type."""
    try:
        filters = msgspec.convert(document.get("filters", ()), tuple[object, ...])
        spec = {
            **document,
            "instrument": {name: document.get(name) for name in ("venue", "symbol")},
            "filters": [_canonical(each) for each in filters],
        }
        content = {**document, "spec": msgspec.convert(spec, InstrumentSpec)}
        row = {**document, "content": msgspec.convert(content, InstrumentContent)}
        return msgspec.convert(row, RegistryRow)
    except msgspec.ValidationError as error:
        name = f"{document.get('venue')}/{document.get('symbol')}"
        raise InvalidValueError(f"the stored row of {name} is damaged: {error}") from error


def change_document(change: RegistryChange) -> Document:
    attributes: Document = msgspec.to_builtins(msgspec.structs.asdict(change) | {"row": None})
    return {**attributes, "row": row_document(change.row)}


def change_from_document(document: Mapping[str, object]) -> RegistryChange:
    """Raises: InvalidValueError: A field is missing or has another type."""
    try:
        row = msgspec.convert(document.get("row"), Document)
        whole = {**document, "row": row_from_document(row)}
        return msgspec.convert(whole, RegistryChange)
    except msgspec.ValidationError as error:
        raise InvalidValueError(f"a stored change of the registry is damaged: {error}") from error


def _readable(filter_text: str) -> object:
    """A filter as an object; as text where an object would not give the same text again."""
    value = msgspec.json.decode(filter_text)
    same = isinstance(value, dict) and _canonical(value) == filter_text
    return value if same and _is_exact(value) else filter_text


def _is_exact(value: object) -> bool:
    """Whether every store gives the same text again: one may keep the number 1.0 as 1."""
    match value:
        case dict():
            return all(map(_is_exact, value.values()))
        case list():
            return all(map(_is_exact, value))
        case int():
            return abs(value) < _EXACT_INTEGER_MAX
        case _:
            return not isinstance(value, float)


def _canonical(value: object) -> str:
    return value if isinstance(value, str) else _encode_canonical(value).decode()
