"""Persistent indexes: their definition, and the entries of a document in them."""

from typing import Any

import orjson
from msgspec import Struct

from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.http_messages import refuse_unknown

Document = dict[str, Any]
"""A stored document with `_key`, `_id` and `_rev`; replaced as a whole, never changed in place."""

Entry = tuple[bytes, ...]

_EXPANSION = "[*]"


class Index(Struct, frozen=True):
    """A persistent index that is not sparse.

    Attributes:
        fields: Attribute names; `streams[*]` takes each element of an array.
    """

    id: str
    name: str
    fields: tuple[str, ...]
    unique: bool

    def same_as(self, other: "Index") -> bool:
        """Whether both would hold the same entries; names do not matter."""
        return (self.fields, self.unique) == (other.fields, other.unique)

    def entries(self, document: Document) -> set[Entry]:
        """The entries of *document*; a missing attribute is null."""
        combined: list[Entry] = [()]
        for field in self.fields:
            values = _values(document, field)
            combined = [(*entry, value) for entry in combined for value in values]
        return set(combined)

    def view(self, collection: str) -> dict[str, Any]:
        """As the server shows it."""
        return {
            "id": f"{collection}/{self.id}",
            "name": self.name,
            "type": "persistent",
            "fields": list(self.fields),
            "unique": self.unique,
            "sparse": False,
            "deduplicate": True,
            "estimates": True,
            "cacheEnabled": False,
        }


def parse_index(wanted: dict[str, Any], index_id: str) -> Index:
    """Raises:
    UnknownRequestError: Another type, or an option that the double does not know.

    ArangoError: 400/10, no fields.
    """
    refuse_unknown("index option", wanted, ("type", "name", "fields", "unique", "sparse"))
    if wanted.get("type") != "persistent" or wanted.get("sparse"):
        raise UnknownRequestError(f"the index {wanted}")
    if any(field in {"_id", "_rev"} or "." in field for field in wanted.get("fields") or ()):
        raise UnknownRequestError(f"an index on {wanted['fields']}")
    if not wanted.get("fields"):
        raise ArangoError(400, 10, "bad parameter: fields")
    return Index(
        id=index_id,
        name=wanted.get("name") or f"idx_{index_id}",
        fields=tuple(wanted["fields"]),
        unique=bool(wanted.get("unique", False)),
    )


def primary_view(collection: str) -> dict[str, Any]:
    """The index that every collection has."""
    return {
        "id": f"{collection}/0",
        "name": "primary",
        "type": "primary",
        "fields": ["_key"],
        "unique": True,
        "sparse": False,
        "selectivityEstimate": 1,
    }


def _values(document: Document, field: str) -> list[bytes]:
    if not field.endswith(_EXPANSION):
        return [_comparable(document.get(field))]
    value = document.get(field.removesuffix(_EXPANSION))
    return [_comparable(each) for each in value] if isinstance(value, list) else []


def _comparable(value: Any) -> bytes:
    if isinstance(value, float) and value.is_integer():
        return _comparable(int(value))
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
