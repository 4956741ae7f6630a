"""Prints instruments of the registry: one as a specification, or what has changed."""

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.instruments.spec_sheet import spec_sheet
from chimera_s1.app.cli.shared.output import print_line, print_status
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.instrument import RegistryChange
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry

PAGE = 500


async def print_instrument(settings: Settings, instrument: InstrumentId) -> None:
    """Raises:
    ConfigurationError: There is no such instrument, or no registry.
    StoreUnavailableError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        row = await stores.instruments.find(instrument)
        if row is None:
            raise ConfigurationError(await _unknown(stores.instruments, instrument))
    for line in spec_sheet(row):
        print_line(line)


async def print_changes(settings: Settings, since_ms: int, venue: Venue | None) -> None:
    """Raises:
    ConfigurationError: There is no registry.
    StoreUnavailableError: It cannot be read.
    """
    shown, after = 0, 0
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        while page := await stores.instruments.changes(after=after, since=since_ms, limit=PAGE):
            for recorded in page:
                if venue in {None, recorded.change.row.instrument.venue}:
                    _print_change(recorded.change)
                    shown += 1
            after = page[-1].position
    print_status(f"{shown} changes since {format_utc(since_ms)[:19]} UTC")


def _print_change(change: RegistryChange) -> None:
    row = change.row
    head = f"{format_utc(row.updated_at)[:19]}  {row.instrument}  version {row.version}"
    what = "" if change.old_hash else "  new"
    print_line(f"{head}{what}  ({change.source})")
    for name, old, new in change.difference:
        print_line(f"  {name}: {old or '-'} -> {new or '-'}")


async def _unknown(registry: InstrumentRegistry, instrument: InstrumentId) -> str:
    rows = await registry.rows(instrument.venue)
    if not rows:
        return (
            f"the registry has no instrument of {instrument.venue.value} yet: the service fills it "
            "at its start; see /health"
        )
    asset = instrument.symbol[:3]
    near = [row.instrument.symbol for row in rows if row.instrument.symbol.startswith(asset)]
    like = f"; like it are {', '.join(near[:5])}" if near else ""
    return f"{instrument} is not among the {len(rows)} instruments of the registry{like}"
