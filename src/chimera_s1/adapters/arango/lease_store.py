"""Leases in ArangoDB. They expire by its clock, since the clocks of instances may differ."""

from functools import partial

from msgspec import Struct, field

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request, if_match
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.layout import LEASES, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document


class _Lease(Struct, frozen=True):
    owner: str
    until_ms: int
    revision: str = field(name="_rev")


class ArangoLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        return await self._database.run_command(partial(_acquire, name, owner, duration_ms))

    async def release(self, name: str, owner: str) -> None:
        await self._database.run_command(partial(_release, name, owner))


def _acquire(name: str, owner: str, duration_ms: int, requests: RetryingRequests) -> bool:
    while True:
        current = _find_lease(name, requests)
        (now_ms,) = requests.query(queries.SERVER_TIME, {}, int)
        if current is not None and current.owner != owner and now_ms < current.until_ms:
            return False
        lease: Document = {"name": name, "owner": owner, "until_ms": now_ms + duration_ms}
        if requests.try_write(_write_request(name, lease, current)):
            return True


def _release(name: str, owner: str, requests: RetryingRequests) -> None:
    while (current := _find_lease(name, requests)) is not None and current.owner == owner:
        delete = Request("delete", _lease_path(name), headers=if_match(current.revision))
        if requests.try_write(delete):
            return


def _find_lease(name: str, requests: RetryingRequests) -> _Lease | None:
    return requests.find_document(LEASES, document_key(name), _Lease)


def _write_request(name: str, lease: Document, current: _Lease | None) -> Request:
    if current is None:
        document = {**lease, "_key": document_key(name)}
        return Request("post", f"/_api/document/{LEASES}", {"overwriteMode": "conflict"}, document)
    return Request("put", _lease_path(name), body=lease, headers=if_match(current.revision))


def _lease_path(name: str) -> str:
    return f"/_api/document/{LEASES}/{document_key(name)}"
