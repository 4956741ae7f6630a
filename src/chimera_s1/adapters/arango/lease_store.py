"""Leases in ArangoDB, which end by its clock: the instances' own may differ."""

from functools import partial

from msgspec import Struct, field

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Asked, if_still
from chimera_s1.adapters.arango.database import Arango
from chimera_s1.adapters.arango.layout import LEASES, key_of
from chimera_s1.adapters.arango.retrying_requests import Errand
from chimera_s1.domain.ledger.commit import Document


class _Lease(Struct, frozen=True):
    owner: str
    until_ms: int
    revision: str = field(name="_rev")


class ArangoLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`."""

    def __init__(self, arango: Arango) -> None:
        """Args: arango: Open for as long as this is used."""
        self._arango = arango

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        """Take, or keep, the lease *name*."""
        return await self._arango.command(partial(_acquire, name, owner, duration_ms))

    async def release(self, name: str, owner: str) -> None:
        """Give it up, if it is still *owner*'s."""
        await self._arango.command(partial(_release, name, owner))


def _acquire(name: str, owner: str, duration_ms: int, errand: Errand) -> bool:
    while True:
        there = _find(name, errand)
        (now_ms,) = errand.query(queries.NOW, {}, int)
        if there is not None and there.owner != owner and now_ms < there.until_ms:
            return False
        lease: Document = {"name": name, "owner": owner, "until_ms": now_ms + duration_ms}
        if errand.win(_write(name, lease, there)):
            return True


def _release(name: str, owner: str, errand: Errand) -> None:
    while (there := _find(name, errand)) is not None and there.owner == owner:
        if errand.win(Asked("delete", _path(name), headers=if_still(there.revision))):
            return


def _find(name: str, errand: Errand) -> _Lease | None:
    return errand.find(LEASES, key_of(name), _Lease)


def _write(name: str, lease: Document, there: _Lease | None) -> Asked:
    if there is None:
        document = {**lease, "_key": key_of(name)}
        return Asked("post", f"/_api/document/{LEASES}", {"overwriteMode": "conflict"}, document)
    return Asked("put", _path(name), body=lease, headers=if_still(there.revision))


def _path(name: str) -> str:
    return f"/_api/document/{LEASES}/{key_of(name)}"
