"""The identity of an installation in ArangoDB: one document per fact, inserted if absent."""

from functools import partial

from msgspec import Struct

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.layout import INSTALLATION, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.installation_store import InstallationFact

_INSERT = {"overwriteMode": "conflict"}


class _Fact(Struct, frozen=True):
    value: str


class ArangoInstallationStore:
    """Implements `domain.ports.installation_store.InstallationStore`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database

    async def find(self, fact: InstallationFact) -> str:
        return await self._database.run_command(partial(_find, fact))

    async def record(self, fact: InstallationFact, value: str) -> str:
        return await self._database.run_command(partial(_record, fact, value))


def _record(fact: InstallationFact, value: str, requests: RetryingRequests) -> str:
    document: Document = {"_key": document_key(fact), "fact": fact.value, "value": value}
    insert = Request("post", f"/_api/document/{INSTALLATION}", _INSERT, document)
    while True:
        # A conflict and a stale read lead back here, until the stored document is seen.
        if stored := _find(fact, requests):
            return stored
        requests.try_write(insert)


def _find(fact: InstallationFact, requests: RetryingRequests) -> str:
    found = requests.find_document(INSTALLATION, document_key(fact), _Fact)
    return "" if found is None else found.value
