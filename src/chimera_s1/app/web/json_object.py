"""Strict reader of JSON objects: duplicate and unknown fields are refused, and numbers keep their
text instead of becoming floats.
"""

import json
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from chimera_s1.app.near_name import near_name
from chimera_s1.domain.errors import ChimeraError

JSON = "application/json"

_NAME_CHARACTERS_MAX = 40
_Choice = TypeVar("_Choice", bound=StrEnum)


class MediaTypeError(ChimeraError):
    """The Content-Type is not application/json."""

    code = "request.media_type"


class ContentCodingError(ChimeraError):
    """The body is compressed or otherwise encoded."""

    code = "request.content_encoding"


class RequestInvalidError(ChimeraError):
    """The request is malformed; the text names the field and what to send instead."""

    code = "request.invalid"


class JsonNumber(Struct, frozen=True):
    """The text of a number, as it was sent."""

    text: str


_TYPE_WORDS: dict[type, str] = {
    bool: "true or false",
    str: "a text",
    JsonNumber: "a number",
    float: "NaN or infinite, which JSON does not have",
    dict: "an object",
    list: "a list",
}


class JsonObject:
    """The fields of an object, with checks of their types."""

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def value(self, name: str) -> object:
        """The value of a field.

        Raises:
            RequestInvalidError: The field is missing.
        """
        if name not in self._fields:
            raise RequestInvalidError(f"{name} is missing; send it")
        return self._fields[name]

    def text(self, name: str, characters: range) -> str:
        """A printable text whose length is in *characters*.

        Raises:
            RequestInvalidError: The field is missing or not such a text.
        """
        value = self.value(name)
        if not isinstance(value, str):
            raise RequestInvalidError(f"{name} is {kind_of_value(value)}; send a text in quotes")
        if len(value) not in characters:
            raise RequestInvalidError(
                f"{name} has {len(value)} characters; send {characters.start} to "
                f"{characters.stop - 1}"
            )
        if not value.isprintable():
            raise RequestInvalidError(
                f"{name} has a character that cannot be printed; send letters, digits, spaces and "
                "punctuation, without line breaks"
            )
        return value

    def choice(self, name: str, kind: type[_Choice]) -> _Choice:
        """A member of *kind*.

        Raises:
            RequestInvalidError: The field is missing or not a member.
        """
        value = self.value(name)
        with suppress(ValueError):
            if isinstance(value, str):
                return kind(value)
        raise RequestInvalidError(f"{name} must be one of {', '.join(kind)}")


def read_json_object(media_type: str, body: bytes, known: tuple[str, ...]) -> JsonObject:
    """The object in *body*, with *known* fields only.

    Raises:
        MediaTypeError: *media_type* is not application/json.
        RequestInvalidError: *body* is not a JSON object, or has an unknown or duplicate field.
    """
    if media_type.partition(";")[0].strip().lower() != JSON:
        raise MediaTypeError(f"the body must be a JSON object; send it with Content-Type: {JSON}")
    fields = _parsed(body)
    if not isinstance(fields, dict):
        raise RequestInvalidError(f"the body is {kind_of_value(fields)}; send one object, {{...}}")
    unknown = [name for name in fields if name not in known]
    if unknown:
        near = near_name(unknown[0][:_NAME_CHARACTERS_MAX], known)
        hint = f"did you mean {near}?" if near else f"the known fields are {', '.join(known)}"
        raise RequestInvalidError(f"{_quotable_name(unknown[0])} is unknown; remove it, {hint}")
    return JsonObject(fields)


def kind_of_value(value: object) -> str:
    """The type of *value* in words, without its content."""
    return _TYPE_WORDS.get(type(value), "null")


def _parsed(body: bytes) -> object:
    if not body:
        raise RequestInvalidError("the body is empty; send a JSON object")
    try:
        parsed: object = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_reject_duplicates,
            parse_float=JsonNumber,
            parse_int=JsonNumber,
        )
    except UnicodeDecodeError as error:
        raise RequestInvalidError(
            f"the body is not UTF-8 at byte {error.start}; send it in UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise RequestInvalidError(
            f"the body is not valid JSON at character {error.pos} ({error.msg}); send a JSON "
            "object in UTF-8, without a byte order mark"
        ) from error
    except RecursionError as error:
        raise RequestInvalidError("the body is nested too deeply; send one flat object") from error
    return parsed


def _reject_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise RequestInvalidError(f"{_quotable_name(name)} appears twice; send it once")
        fields[name] = value
    return fields


def _quotable_name(name: str) -> str:
    """The field's name as sent, if it is short and an identifier."""
    harmless = name.isidentifier() and len(name) <= _NAME_CHARACTERS_MAX
    return name if harmless else "a field"
