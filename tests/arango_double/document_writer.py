"""Writes of one document: keys, revisions, overwriting."""

import re
from typing import Any

from msgspec import Struct

from tests.arango_double.collection import Collection
from tests.arango_double.errors import (
    ArangoError,
    UnknownRequestError,
    document_not_found,
    not_unique,
    revision_conflict,
)
from tests.arango_double.indexes import Document
from tests.arango_double.store import Database, Store

_LEGAL_KEY = re.compile(r"[A-Za-z0-9_\-.@()+,=;$!*'%:]{1,254}")
_SYSTEM_ATTRIBUTES = ("_key", "_id", "_rev")


class WriteOptions(Struct, frozen=True):
    """Attributes:
    version_attribute: A document in which this number is not greater changes nothing.

    merges_objects, keeps_null: Of updates.
    """

    return_new: bool
    overwrite_mode: str
    version_attribute: str | None
    wait_for_sync: bool
    merges_objects: bool = True
    keeps_null: bool = True


class DocumentWriter:
    """Writes to one collection and returns the server's description of each write."""

    def __init__(
        self, store: Store, database: Database, collection: Collection, options: WriteOptions
    ) -> None:
        self.options = options
        self._store = store
        self._database = database
        self._collection = collection

    def insert(self, body: Any) -> Document:
        """Raises: ArangoError: 409/1210, 409/1200, 400/1221, 400/1222, 400/1227."""
        content = _content(body)
        key = self._key_of_new(body)
        self._refuse_write(key)
        stored = self._collection.find(key)
        if stored is None:
            return self._save(key, content, None)
        match self.options.overwrite_mode:
            case "ignore":
                return _identity(stored)
            case "replace":
                return self._overwrite(stored, content)
            case "update":
                return self._overwrite(stored, content, self._updated(stored, content))
            case "conflict":
                raise not_unique("primary", "primary", "_key", key)
            case mode:
                raise UnknownRequestError(f"the overwriteMode {mode!r}")

    def replace(self, key: str, body: Any, revision: str | None) -> Document:
        content = _content(body)
        return self._overwrite(self._stored(key, revision), content)

    def update(self, key: str, body: Any, revision: str | None = None) -> Document:
        stored = self._stored(key, revision)
        content = _content(body)
        return self._overwrite(stored, content, self._updated(stored, content))

    def remove(self, key: str, revision: str | None) -> Document:
        stored = self._stored(key, revision)
        self._collection.remove(key)
        return _identity(stored)

    def _key_of_new(self, body: Document) -> str:
        generator = self._collection.properties["keyOptions"]["type"]
        if generator != "traditional":
            raise UnknownRequestError(f"the key generator {generator!r}")
        if "_key" not in body:
            return str(self._store.next_number())
        if not self._collection.properties["keyOptions"]["allowUserKeys"]:
            raise ArangoError(400, 1222, "unexpected document key")
        return legal_key(body["_key"])

    def _stored(self, key: str, revision: str | None) -> Document:
        self._refuse_write(key)
        stored = self._collection.find(key)
        if stored is None:
            raise document_not_found()
        if revision not in {None, stored["_rev"]}:
            raise revision_conflict(stored)
        return stored

    def _refuse_write(self, key: str) -> None:
        """Raises: ArangoError: 400/1620, the collection's schema; 409/1200, a locked key."""
        name = (self._database.name, self._collection.name, key)
        if name in self._store.refused_keys:
            raise ArangoError(400, 1620, "document validation failed")
        if name not in self._store.locked_keys:
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

    def _overwrite(
        self, stored: Document, given: Document, content: Document | None = None
    ) -> Document:
        """Store *content*, or else *given*; the version is that of *given*."""
        if self._outdated(stored, given):
            unchanged = {**_identity(stored), "_oldRev": stored["_rev"]}
            return {**unchanged, **self._new(stored)}
        return self._save(stored["_key"], given if content is None else content, stored)

    def _updated(self, stored: Document, content: Document) -> Document:
        if not self.options.keeps_null:
            raise UnknownRequestError("an update that removes attributes")
        if self.options.merges_objects and any(isinstance(each, dict) for each in content.values()):
            raise UnknownRequestError("an update that merges objects")
        return {**_content(stored), **content}

    def _outdated(self, stored: Document, content: Document) -> bool:
        name = self.options.version_attribute
        if name is None:
            return False
        old, new = _version(stored.get(name)), _version(content.get(name))
        return old is not None and new is not None and new <= old

    def _save(self, key: str, content: Document, old: Document | None) -> Document:
        identity = {
            "_key": key,
            "_id": f"{self._collection.name}/{key}",
            "_rev": self._store.next_revision(),
        }
        document = {**identity, **content}
        self._collection.put(document)
        before = {} if old is None else {"_oldRev": old["_rev"]}
        return {**_identity(document), **before, **self._new(document)}

    def _new(self, document: Document) -> Document:
        return {"new": document} if self.options.return_new else {}


def legal_key(key: Any) -> str:
    """Raises: ArangoError: 400/1221, a wrong character, too long, empty, or not a string."""
    if not isinstance(key, str) or _LEGAL_KEY.fullmatch(key) is None:
        raise ArangoError(400, 1221, "illegal document key")
    return key


def _content(body: Any) -> Document:
    if not isinstance(body, dict):
        raise ArangoError(400, 1227, "invalid document type")
    return {name: value for name, value in body.items() if name not in _SYSTEM_ATTRIBUTES}


def _identity(document: Document) -> Document:
    return {name: document[name] for name in ("_id", "_key", "_rev")}


def _version(value: Any) -> float | None:
    is_version = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return value if is_version else None
