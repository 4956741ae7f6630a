"""`chimera-s1 instruments`: show, compare, verify and sync the registry."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with
from chimera_s1.domain.identifiers import InstrumentId, Venue

instruments = typer.Typer(
    no_args_is_help=True,
    help="Show, compare, verify and sync the instrument registry.\n\n"
    "All but sync read the database at S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH, else\n"
    "in the state directory, and work beside a running service. sync calls the\n"
    "service.",
)

_VenueOption = Annotated[
    Venue | None, typer.Option("--venue", help="Only this venue. Default: all.")
]


@instruments.command()
def show(
    instrument: Annotated[str, typer.Argument(metavar="VENUE/SYMBOL", help="Like perp/BTCUSDT.")],
    state_dir: StateDirOption = None,
) -> None:
    """Show one instrument: its rules, dates, leverage and thresholds."""
    from chimera_s1.app.cli.instruments.show import print_instrument  # noqa: PLC0415 (help is quick)

    anyio.run(print_instrument, settings_with(state_dir), InstrumentId.parse(instrument))


@instruments.command()
def diff(
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Like 24h, 7d, 2026-11-27 or 2026-11-27T08:00 (UTC)."),
    ] = "24h",
    venue: _VenueOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Show what has changed, oldest first: each field with its old and new value."""
    from chimera_s1.adapters.system.system_clock import SystemClock  # noqa: PLC0415 (help is quick)
    from chimera_s1.app.cli.instruments.show import print_changes  # noqa: PLC0415 (help is quick)
    from chimera_s1.app.utc_time import parse_since  # noqa: PLC0415 (help is quick)

    since_ms = parse_since(since, SystemClock().now_ms())
    anyio.run(print_changes, settings_with(state_dir), since_ms, venue)


@instruments.command()
def verify(state_dir: StateDirOption = None) -> None:
    """Compute every hash again, and check that changes follow one another.

    Exit code 1 if a row or a change was altered outside the service.
    """
    from chimera_s1.app.cli.instruments.verify import verify_registry  # noqa: PLC0415 (help is quick)

    raise typer.Exit(anyio.run(verify_registry, settings_with(state_dir)))


@instruments.command()
def sync(
    venue: _VenueOption = None,
    accept: Annotated[bool, typer.Option("--accept", help="Apply what quarantine holds.")] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Have the service read the listings now, and print what has changed.

    Needs S1_TOKEN with the scope jobs:run (and S1_URL), or a demo running on
    this machine. Exit code 1 if rows are held in quarantine, or the store
    refuses some.
    """
    from chimera_s1.app.cli.instruments.sync import sync_and_print  # noqa: PLC0415 (help is quick)

    if not anyio.run(sync_and_print, settings_with(state_dir), url, venue, accept):
        raise typer.Exit(1)
