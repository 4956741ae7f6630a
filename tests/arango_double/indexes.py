"""
Secondary indexes: what they are made of, and what a document puts into them.
"""

from typing import Any

import orjson
from msgspec import Struct

from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.requests_in import refuse_others

Document = dict[str, Any]
"""
A stored document with `_key`, `_id` and `_rev`; replaced as a whole, never changed in place.
"""

Entry = tuple[bytes, ...]

_EXPANSION = "[*]"
_OPTIONS = (
    *("type", "name", "fields", "unique", "sparse", "expireAfter", "inBackground"),
    *("storedValues", "deduplicate", "estimates", "cacheEnabled"),
)


class Index(Struct, frozen=True):
    """
    A persistent or TTL index.

    Attributes:
        fields: Attribute paths; `streams[*]` takes each element of an array.

        expire_after_s: Of a TTL index, from the time its field holds.
    """

    id: str
    name: str
    kind: str
    fields: tuple[str, ...]
    unique: bool
    sparse: bool
    expire_after_s: int | None

    def same_as(self, other: "Index") -> bool:
        """
        Whether both would hold the same; names do not matter.
        """
        mine = (self.kind, self.fields, self.unique, self.sparse, self.expire_after_s)
        return mine == (other.kind, other.fields, other.unique, other.sparse, other.expire_after_s)

    def entries(self, document: Document) -> set[Entry]:
        """
        What *document* puts in; a sparse index leaves out what lacks a field.
        """
        combined: list[Entry] = [()]
        for path in self.fields:
            values = _values(document, path)
            combined = [(*entry, value) for entry in combined for value in values]
        return {entry for entry in combined if not (self.sparse and b"null" in entry)}

    def view(self, collection: str) -> dict[str, Any]:
        """
        As the server shows it.
        """
        view = {
            "id": f"{collection}/{self.id}",
            "name": self.name,
            "type": self.kind,
            "fields": list(self.fields),
            "unique": self.unique,
            "sparse": self.sparse,
        }
        if self.expire_after_s is not None:
            return {**view, "expireAfter": self.expire_after_s, "estimates": False}
        return {**view, "deduplicate": True, "estimates": True, "cacheEnabled": False}


def read_index(wanted: dict[str, Any], index_id: str) -> Index:
    """
    The index a request describes.

    Raises:
        UnknownRequestError: Another type or option than the two types here have.

        ArangoError: 400/10, it makes no sense.
    """
    refuse_others("index option", wanted, _OPTIONS)
    kind, fields = wanted.get("type"), tuple(wanted.get("fields", ()))
    if kind not in {"persistent", "ttl"}:
        raise UnknownRequestError(f"the index type {kind!r}")
    if not fields or (kind == "ttl" and (len(fields) != 1 or "expireAfter" not in wanted)):
        raise ArangoError(400, 10, "bad parameter: fields or expireAfter")
    return Index(
        id=index_id,
        name=wanted.get("name") or f"idx_{index_id}",
        kind=kind,
        fields=fields,
        unique=bool(wanted.get("unique", False)),
        sparse=kind == "ttl" or bool(wanted.get("sparse", False)),
        expire_after_s=wanted.get("expireAfter"),
    )


def primary_view(collection: str) -> dict[str, Any]:
    """
    The index every collection has.
    """
    return {
        "id": f"{collection}/0",
        "name": "primary",
        "type": "primary",
        "fields": ["_key"],
        "unique": True,
        "sparse": False,
        "selectivityEstimate": 1,
    }


def attribute(document: object, path: str) -> Any:
    """
    The value at a dotted *path*, None where there is none.
    """
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _values(document: Document, path: str) -> list[bytes]:
    if not path.endswith(_EXPANSION):
        return [_comparable(attribute(document, path))]
    value = attribute(document, path.removesuffix(_EXPANSION))
    return [_comparable(each) for each in value] if isinstance(value, list) else []


def _comparable(value: Any) -> bytes:
    if isinstance(value, float) and value.is_integer():
        return _comparable(int(value))
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
