"""Dead letters in ArangoDB: one document a letter; the key orders them by time."""

import re
from functools import partial
from itertools import count
from secrets import token_hex
from typing import Final

import msgspec

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.errors import RequestRejectedError, UnexpectedDocumentError
from chimera_s1.adapters.arango.layout import DEAD_LETTERS
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.dead_letter import DeadLetter
from chimera_s1.domain.ports.dead_letters import AddedLetter, StoredLetter

_PATH: Final = f"/_api/document/{DEAD_LETTERS}"
_ONCE: Final = {"overwriteMode": "ignore"}
_KEY: Final = re.compile(r"\d{16}-\d{6}-[0-9a-f]{8}", re.ASCII)
_TRIMMED_AT_ONCE: Final = 100


class ArangoDeadLetters:
    """Implements `domain.ports.dead_letters.DeadLetters`."""

    def __init__(self, database: ArangoDatabase, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._numbers = count()

    async def add(self, letter: DeadLetter) -> AddedLetter:
        number = next(self._numbers) % 1_000_000
        # Made before the first attempt: a repeated insert finds its own document.
        key = f"{letter.ts:016d}-{number:06d}-{token_hex(4)}"
        dropped = await self._database.run_projection(partial(_add, letter, key, self._limit))
        return AddedLetter(key, dropped)

    async def page(self, *, after: str = "", limit: int = 100) -> tuple[StoredLetter, ...]:
        if after and not _KEY.fullmatch(after):
            return ()
        return await self._database.run_projection(partial(_page, after, limit))

    async def find(self, letter_id: str) -> StoredLetter | None:
        if not _KEY.fullmatch(letter_id):
            return None
        return await self._database.run_projection(partial(_find, letter_id))

    async def remove(self, letter_id: str) -> bool:
        if not _KEY.fullmatch(letter_id):
            return False
        return await self._database.run_projection(partial(_remove, letter_id))

    async def count(self) -> int:
        return await self._database.run_projection(_count)


def _add(letter: DeadLetter, key: str, limit: int, requests: RetryingRequests) -> int:
    document = {**msgspec.to_builtins(letter), "_key": key}
    requests.send(Request("post", _PATH, _ONCE, document))
    binds: dict[str, str | int] = {
        "@letters": DEAD_LETTERS,
        "keep": limit,
        "limit": _TRIMMED_AT_ONCE,
    }
    excess = requests.query(queries.OLDEST_LETTERS, binds, str, _TRIMMED_AT_ONCE)
    return sum(_remove(each, requests) for each in excess)


def _page(after: str, limit: int, requests: RetryingRequests) -> tuple[StoredLetter, ...]:
    binds: dict[str, str | int] = {"@letters": DEAD_LETTERS, "after": after, "limit": limit}
    found = requests.query(queries.LETTERS, binds, Document, limit)
    return tuple(map(_stored, found))


def _find(key: str, requests: RetryingRequests) -> StoredLetter | None:
    document = requests.find_document(DEAD_LETTERS, key, Document)
    return None if document is None else _stored(document)


def _remove(key: str, requests: RetryingRequests) -> bool:
    """False also where an attempt whose reply was lost has removed it."""
    try:
        requests.send(Request("delete", f"{_PATH}/{key}"))
    except RequestRejectedError as error:
        if error.document_missing:
            return False
        raise
    return True


def _count(requests: RetryingRequests) -> int:
    return requests.query(queries.LETTER_COUNT, {"@letters": DEAD_LETTERS}, int)[0]


def _stored(document: Document) -> StoredLetter:
    try:
        return StoredLetter(str(document["_key"]), msgspec.convert(document, DeadLetter))
    except msgspec.ValidationError as error:
        what = f"has a damaged document {DEAD_LETTERS}/{document['_key']} ({error})"
        raise UnexpectedDocumentError(what, cure="restore or delete it") from error
