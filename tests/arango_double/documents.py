"""
Writes of one document: keys, revisions, overwriting, merging.
"""

import re
from typing import Any

from msgspec import Struct

from tests.arango_double.collection import Collection
from tests.arango_double.errors import (
    ArangoError,
    UnknownRequestError,
    document_not_found,
    illegal_key,
    not_unique,
    revision_conflict,
)
from tests.arango_double.indexes import Document
from tests.arango_double.store import Database, Store

_LEGAL_KEY = re.compile(r"[A-Za-z0-9_\-.@()+,=;$!*'%:]{1,254}")
_SYSTEM = ("_key", "_id", "_rev")
OVERWRITE_MODES = ("conflict", "ignore", "replace", "update")


class WriteOptions(Struct, frozen=True):
    """
    How a document is written.

    Attributes:
        version_attribute: A document with a smaller or equal number in it changes nothing.
    """

    return_new: bool = False
    return_old: bool = False
    overwrite_mode: str = "conflict"
    ignore_revs: bool = True
    version_attribute: str | None = None
    keep_null: bool = True
    merge_objects: bool = True


class Writer:
    """
    Writes to one collection; what each returns is what the server says about it.
    """

    def __init__(
        self, store: Store, database: Database, collection: Collection, options: WriteOptions
    ) -> None:
        self._store = store
        self._database = database
        self._collection = collection
        self._options = options

    def insert(self, body: Any) -> Document:
        """
        A new document, or what the overwrite mode makes of one that is there.

        Raises:
            ArangoError: 409/1210, 400/1221 and what `_checked` raises.
        """
        content = _content(body)
        key = self._key_of_new(body)
        self._refuse_busy(key)
        stored = self._collection.find(key)
        if stored is None:
            return self._store_as(key, content, None)
        match self._options.overwrite_mode:
            case "ignore":
                return _identity(stored)
            case "replace":
                return self._overwrite(stored, content)
            case "update":
                return self._overwrite(stored, self._merged(stored, content), content)
            case "conflict":
                raise not_unique("primary", "primary", "_key", key)
            case mode:
                raise UnknownRequestError(f"the overwriteMode {mode!r}")

    def replace(self, key: str, body: Any, revision: str | None) -> Document:
        """
        Other content for a document that is there.
        """
        content = _content(body)
        return self._overwrite(self._stored(key, revision), content)

    def update(self, key: str, body: Any, revision: str | None) -> Document:
        """
        Some other attributes for a document that is there.
        """
        patch = _content(body)
        stored = self._stored(key, revision)
        return self._overwrite(stored, self._merged(stored, patch), patch)

    def remove(self, key: str, revision: str | None) -> Document:
        """
        No such document any more.
        """
        stored = self._stored(key, revision)
        self._collection.remove(key)
        return {**_identity(stored), **({"old": stored} if self._options.return_old else {})}

    def _key_of_new(self, body: Document) -> str:
        if "_key" not in body:
            return str(self._store.next_number())
        if not self._collection.properties["keyOptions"]["allowUserKeys"]:
            raise ArangoError(400, 1222, "unexpected document key")
        return legal_key(body["_key"])

    def _stored(self, key: str, revision: str | None) -> Document:
        self._refuse_busy(key)
        stored = self._collection.find(key)
        if stored is None:
            raise document_not_found()
        if revision is not None and revision != stored["_rev"]:
            raise revision_conflict(stored)
        return stored

    def _refuse_busy(self, key: str) -> None:
        if (self._database.name, self._collection.name, key) not in self._store.busy:
            return
        stored = self._collection.find(key)
        identity = {"_id": f"{self._collection.name}/{key}", "_key": key}
        where = "in index primary of type primary over '_key'"
        raise ArangoError(
            409,
            1200,
            f"timeout waiting to lock key {key} - {where}; conflicting key: {key}",
            identity if stored is None else _identity(stored),
        )

    def _overwrite(self, stored: Document, content: Document, given: Any = None) -> Document:
        if self._outdated(stored, content if given is None else given):
            unchanged = {**_identity(stored), "_oldRev": stored["_rev"]}
            return {**unchanged, **self._returned(stored, stored)}
        return self._store_as(stored["_key"], content, stored)

    def _outdated(self, stored: Document, given: Document) -> bool:
        name = self._options.version_attribute
        if name is None:
            return False
        old, new = _version(stored.get(name)), _version(given.get(name))
        return old is not None and new is not None and new <= old

    def _store_as(self, key: str, content: Document, old: Document | None) -> Document:
        identity = {
            "_key": key,
            "_id": f"{self._collection.name}/{key}",
            "_rev": self._store.next_revision(),
        }
        document = {**identity, **content}
        self._collection.put(document)
        before = {} if old is None else {"_oldRev": old["_rev"]}
        return {**_identity(document), **before, **self._returned(document, old)}

    def _returned(self, new: Document, old: Document | None) -> Document:
        shown: Document = {}
        if self._options.return_new:
            shown["new"] = new
        if self._options.return_old and old is not None:
            shown["old"] = old
        return shown

    def _merged(self, stored: Document, patch: Document) -> Document:
        content = {name: value for name, value in stored.items() if name not in _SYSTEM}
        return self._merge(content, patch)

    def _merge(self, old: Document, patch: Document) -> Document:
        merged = dict(old)
        for name, value in patch.items():
            before = merged.get(name)
            if value is None and not self._options.keep_null:
                merged.pop(name, None)
            elif (
                isinstance(value, dict) and isinstance(before, dict) and self._options.merge_objects
            ):
                merged[name] = self._merge(before, value)
            else:
                merged[name] = value
        return merged


def legal_key(key: Any) -> str:
    """
    *key*, if a document may have it.

    Raises:
        ArangoError: 400/1221.
    """
    if not isinstance(key, str) or _LEGAL_KEY.fullmatch(key) is None:
        raise illegal_key()
    return key


def key_in(element: Any) -> str:
    """
    The key that an element of a request for several documents means: a key, an id, or a document
    with one of them.
    """
    if isinstance(element, dict):
        element = element.get("_key", element.get("_id"))
    if not isinstance(element, str):
        raise illegal_key()
    return element.rpartition("/")[2]


def _content(body: Any) -> Document:
    if not isinstance(body, dict):
        raise ArangoError(400, 1227, "invalid document type")
    return {name: value for name, value in body.items() if name not in _SYSTEM}


def _identity(document: Document) -> Document:
    return {name: document[name] for name in ("_id", "_key", "_rev")}


def _version(value: Any) -> float | None:
    counts = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return value if counts else None
