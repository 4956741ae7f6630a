"""Verifies the registry: each row's hash, and the chain of its changes."""

from collections.abc import Iterator

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import print_line
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.canonical import spec_hash
from chimera_s1.domain.instruments.instrument import RegistryRow

PAGE = 500
OK, DAMAGED = 0, 1
"""Exit codes."""


async def verify_registry(settings: Settings) -> int:
    """Print each row that does not verify; the exit code.

    Raises:
        ConfigurationError: There is no registry.
        StoreUnavailableError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        rows = {row.instrument: row for row in await stores.instruments.rows()}
        newest: dict[InstrumentId, RegistryRow] = {}
        faults: list[str] = []
        changes, after = 0, 0
        while page := await stores.instruments.changes(after=after, limit=PAGE):
            for recorded in page:
                change = recorded.change
                faults += _change_faults(
                    newest.get(change.row.instrument), change.row, change.old_hash
                )
                newest[change.row.instrument] = change.row
            changes, after = changes + len(page), page[-1].position
    faults += _row_faults(rows, newest)
    for fault in faults:
        print_line(fault)
    if faults:
        print_line(f"{len(faults)} faults in {len(rows)} rows and {changes} changes")
        return DAMAGED
    print_line(f"{len(rows)} rows and {changes} changes, each hash right")
    return OK


def _change_faults(before: RegistryRow | None, row: RegistryRow, old_hash: str) -> Iterator[str]:
    name = f"{row.instrument} version {row.version}"
    if spec_hash(row.content) != row.spec_hash:
        yield f"{name}: the change's content does not have the hash {row.spec_hash}"
    expected = "" if before is None else before.spec_hash
    if old_hash != expected:
        yield f"{name}: follows {old_hash or 'none'}, the version before is {expected or 'none'}"


def _row_faults(
    rows: dict[InstrumentId, RegistryRow], newest: dict[InstrumentId, RegistryRow]
) -> Iterator[str]:
    for instrument, row in sorted(rows.items()):
        if spec_hash(row.content) != row.spec_hash:
            yield f"{instrument}: its content does not have the hash {row.spec_hash}"
        change = newest.pop(instrument, None)
        if change is None:
            yield f"{instrument}: no change made this row"
        elif (change.version, change.spec_hash) != (row.version, row.spec_hash):
            yield f"{instrument}: version {row.version}, but its newest change is {change.version}"
    for instrument in sorted(newest):
        yield f"{instrument}: the row of its changes is missing"
