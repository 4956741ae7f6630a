"""The one text of a value, and its hash.

UTF-8 in NFC, names sorted, no whitespace, numbers with a fraction as exact decimal text. A field
at its default is left out, so that a new optional field changes no hash.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from hashlib import sha256
from typing import Any
from unicodedata import normalize

import msgspec
from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.money import decimal_text, exact_text

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical_json(value: object) -> str:
    """Of a JSON value, a number, or a struct of these."""
    return _encode(plain(value)).decode()


def canonical_hash(value: object) -> str:
    """SHA-256 of the canonical text, hex."""
    return sha256(_encode(plain(value))).hexdigest()


def plain(value: object) -> Any:  # noqa: ANN401, PLR0911 (a JSON value, one case each)
    """*value* as text, whole numbers, lists and dicts in NFC."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return value if value.isascii() else normalize("NFC", value)
        case Decimal():
            return exact_text(value)
        case float():
            return decimal_text(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case InstrumentId():
            return plain(str(value))
        case Struct():
            return {
                name: plain(item)
                for name, default in _fields(type(value))
                if (item := getattr(value, name)) != default
            }
        case Mapping():
            return {plain(str(name)): plain(item) for name, item in value.items()}
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


@cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, object], ...]:
    """The fields of *kind* with their defaults; `NODEFAULT` equals no value."""
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))
