"""Open the stores that the settings choose: ArangoDB, SQLite or memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path

from msgspec import Struct

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.adapters.memory.installation_store import MemoryInstallationStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.dead_letters import DeadLetters
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.funding_store import FundingStore
from chimera_s1.domain.ports.installation_store import InstallationStore
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry
from chimera_s1.domain.ports.job_runs import JobRuns
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.store_probe import StoreProbe
from chimera_s1.domain.ports.transfer_projection import TransferProjection

SQLITE_FILE = "s1.sqlite3"


class LedgerStores(Struct, frozen=True):
    """What a ledger needs of a database.

    Attributes:
        ledger: The events of the ledger of that name; the same object for the same name, because
            it remembers how far the ledger was read.
    """

    ledger: Callable[[str], EventStore]
    cursors: CursorStore
    leases: LeaseStore
    transfers: TransferProjection
    installation: InstallationStore


class Stores(LedgerStores, frozen=True):
    """Everything that is kept in one database."""

    job_runs: JobRuns
    instruments: InstrumentRegistry
    funding: FundingStore
    dead_letters: DeadLetters
    probe: StoreProbe


@asynccontextmanager
async def open_stores(
    settings: CoreSettings,
    clock: Clock,
    *,
    read_only: bool = False,
    allow_in_use: bool = False,
) -> AsyncIterator[Stores]:
    """Open the stores; with *read_only* nothing is created, even beside a running service.

    An ArangoDB that is away, and with *allow_in_use* a SQLite file that another process has open,
    are opened by a later call.

    Raises:
        ConfigurationError: The settings must change; the text says how.
        StoreUnavailableError: The store does not answer.
        LedgerDamagedError: The stored data is damaged.
    """
    if settings.db_arango_uri:
        opening = _arango_stores(settings, clock, read_only=read_only)
    else:
        opening = _sqlite_stores(settings, clock, read_only=read_only, allow_in_use=allow_in_use)
    async with opening as stores:
        yield stores


@asynccontextmanager
async def _sqlite_stores(
    settings: CoreSettings, clock: Clock, *, read_only: bool, allow_in_use: bool
) -> AsyncIterator[Stores]:
    # Imported here: 1 MiB that an instance on ArangoDB does not need.
    from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.database import SqliteDatabase  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.dead_letters import SqliteDeadLetters  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.event_store import SqliteEventStore  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.funding_store import SqliteFundingStore  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.installation_store import (  # noqa: PLC0415
        SqliteInstallationStore,
    )
    from chimera_s1.adapters.sqlite.instrument_registry import (  # noqa: PLC0415
        SqliteInstrumentRegistry,
    )
    from chimera_s1.adapters.sqlite.job_runs import SqliteJobRuns  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.lease_store import SqliteLeaseStore  # noqa: PLC0415
    from chimera_s1.adapters.sqlite.transfer_projection import (  # noqa: PLC0415
        SqliteTransferProjection,
    )
    from chimera_s1.adapters.sqlite.unavailable_when_damaged import (  # noqa: PLC0415
        UnavailableWhenDamaged,
    )

    async with SqliteDatabase(
        sqlite_path(settings), read_only=read_only, allow_unavailable=allow_in_use
    ) as database:
        lenient = UnavailableWhenDamaged(database)
        yield Stores(
            cache(partial(SqliteEventStore, database)),
            SqliteCursorStore(lenient),
            SqliteLeaseStore(lenient, clock),
            SqliteTransferProjection(database),
            SqliteInstallationStore(database),
            SqliteJobRuns(lenient),
            SqliteInstrumentRegistry(lenient),
            SqliteFundingStore(lenient),
            SqliteDeadLetters(lenient, limit=settings.dead_letters_max),
            database,
        )


@asynccontextmanager
async def _arango_stores(
    settings: CoreSettings, clock: Clock, *, read_only: bool
) -> AsyncIterator[Stores]:
    # Imported here: 10 MiB that an instance on SQLite does not need.
    from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore  # noqa: PLC0415
    from chimera_s1.adapters.arango.database import connect_arango  # noqa: PLC0415
    from chimera_s1.adapters.arango.dead_letters import ArangoDeadLetters  # noqa: PLC0415
    from chimera_s1.adapters.arango.event_store import ArangoEventStore  # noqa: PLC0415
    from chimera_s1.adapters.arango.funding_store import ArangoFundingStore  # noqa: PLC0415
    from chimera_s1.adapters.arango.installation_store import (  # noqa: PLC0415
        ArangoInstallationStore,
    )
    from chimera_s1.adapters.arango.instrument_registry import (  # noqa: PLC0415
        ArangoInstrumentRegistry,
    )
    from chimera_s1.adapters.arango.job_runs import ArangoJobRuns  # noqa: PLC0415
    from chimera_s1.adapters.arango.lease_store import ArangoLeaseStore  # noqa: PLC0415
    from chimera_s1.adapters.arango.transfer_projection import (  # noqa: PLC0415
        ArangoTransferProjection,
    )

    async with connect_arango(
        settings.db_arango_uri,
        user=settings.db_arango_user,
        read_password=settings.secret("db_arango_pass"),
        database=settings.db_arango_database,
        read_only=read_only,
        allow_unavailable=not read_only,
    ) as arango:
        yield Stores(
            cache(partial(ArangoEventStore, arango)),
            ArangoCursorStore(arango),
            ArangoLeaseStore(arango, clock),
            ArangoTransferProjection(arango),
            ArangoInstallationStore(arango),
            ArangoJobRuns(arango),
            ArangoInstrumentRegistry(arango),
            ArangoFundingStore(arango),
            ArangoDeadLetters(arango, limit=settings.dead_letters_max),
            arango,
        )


def memory_stores(clock: Clock) -> LedgerStores:
    """A ledger for an instance that moves no money; nothing is saved."""
    return LedgerStores(
        cache(MemoryEventStore),
        MemoryCursorStore(),
        MemoryLeaseStore(clock),
        MemoryTransferProjection(),
        MemoryInstallationStore(),
    )


def sqlite_path(settings: CoreSettings) -> Path:
    return settings.db_sqlite_path or settings.state_dir / SQLITE_FILE
