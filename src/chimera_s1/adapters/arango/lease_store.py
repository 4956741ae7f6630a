"""Leases in ArangoDB. No two clocks are compared, since those of servers and instances may differ.

A lease belongs to its owner until it has not been renewed for its duration, measured by the
instance that waits for it: each renewal gives the document another `_rev`. An instance that starts
waits the whole duration before it takes over a lease whose owner has died.
"""

from functools import partial

from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Request, if_match
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.layout import LEASES, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.clock import Clock


class _Lease(Struct, frozen=True):
    owner: str
    revision: str = field(name="_rev")
    duration_ms: int = 0


class _Written(Struct, frozen=True):
    revision: str = field(name="_rev")


class _Sighting(Struct, frozen=True):
    """Attributes: first_ms: When this instance first saw *revision*, monotonic."""

    revision: str
    first_ms: float


class ArangoLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`."""

    def __init__(self, database: ArangoDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sightings: dict[str, _Sighting] = {}

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        work = partial(self._acquire, name, owner, duration_ms)
        return await self._database.run_command(work)

    async def release(self, name: str, owner: str) -> None:
        await self._database.run_command(partial(_release, name, owner))

    def _acquire(self, name: str, owner: str, duration_ms: int, requests: RetryingRequests) -> bool:
        while True:
            current = _find_lease(name, requests)
            if current is not None and current.owner != owner:
                # A lease that an earlier version wrote has no duration.
                required_ms = current.duration_ms or duration_ms
                if self._unchanged_ms(name, current) < required_ms:
                    return False
            now_ms = self._clock.monotonic_ms()
            lease = self._document(name, owner, duration_ms)
            reply = requests.try_write(_write_request(name, lease, current))
            if reply is not None:
                self._sightings[name] = _Sighting(reply.decode(_Written).revision, now_ms)
                return True

    def _unchanged_ms(self, name: str, lease: _Lease) -> float:
        """How long this instance has seen *lease* without a renewal."""
        now_ms = self._clock.monotonic_ms()
        seen = self._sightings.get(name)
        if seen is None or seen.revision != lease.revision:
            seen = self._sightings[name] = _Sighting(lease.revision, now_ms)
        return now_ms - seen.first_ms

    def _document(self, name: str, owner: str, duration_ms: int) -> Document:
        # `until_ms` is for people and for earlier versions, which compare it with a server's clock.
        until_ms = self._clock.now_ms() + duration_ms
        return {"name": name, "owner": owner, "duration_ms": duration_ms, "until_ms": until_ms}


def _release(name: str, owner: str, requests: RetryingRequests) -> None:
    while (current := _find_lease(name, requests)) is not None and current.owner == owner:
        delete = Request("delete", _lease_path(name), headers=if_match(current.revision))
        if requests.try_write(delete) is not None:
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
