"""Leases in SQLite, shared by the tasks of one process."""

from chimera_s1.adapters.sqlite.database import SqliteAccess
from chimera_s1.domain.ports.clock import Clock

# Expiry is on the clock's monotonic scale, which means nothing to another process; opening the
# database deletes the leases of an earlier process.
_ACQUIRE = """
    INSERT INTO leases (name, owner, until_ms) VALUES (:name, :owner, :until_ms)
    ON CONFLICT (name) DO UPDATE SET owner = :owner, until_ms = :until_ms
    WHERE owner = :owner OR until_ms <= :now_ms
"""
_RELEASE = "DELETE FROM leases WHERE name = ? AND owner = ?"


class SqliteLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`."""

    def __init__(self, database: SqliteAccess, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        now_ms = self._clock.monotonic_ms()
        parameters: dict[str, str | float] = {
            "name": name,
            "owner": owner,
            "now_ms": now_ms,
            "until_ms": now_ms + duration_ms,
        }
        return await self._database.execute(_ACQUIRE, [parameters]) > 0

    async def release(self, name: str, owner: str) -> None:
        await self._database.execute(_RELEASE, [(name, owner)])
