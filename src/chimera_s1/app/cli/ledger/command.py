"""`chimera-s1 ledger`: what the treasury ledger says, and whether it is what was written."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.settings.settings import Settings, load_settings
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.treasury.transfer import TransferStatus

_LIMIT = 20
_LIMIT_MAX = 1_000_000
_StateDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Default: S1_STATE_DIR, else .chimera.")
]

ledger = typer.Typer(
    no_args_is_help=True,
    help="Look into the treasury ledger, prove it, copy it.\n\n"
    "All but rebuild only read, and work beside a running service. The ledger is where "
    "S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH say, else in the state directory.",
)


@ledger.command("list")
def list_transfers(
    state: Annotated[
        TransferStatus | None,
        typer.Option(case_sensitive=False, help="Only those that are there now."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=_LIMIT_MAX, metavar="N", help="At most so many.")
    ] = _LIMIT,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of a table.")
    ] = False,
    state_dir: _StateDir = None,
) -> None:
    """Show the newest transfers, each folded from its own events.

    A table in a terminal; elsewhere a line each, with tabs: when, id, from, to, amount, state,
    actor, message.
    """
    from chimera_s1.app.cli.ledger.show import print_transfers  # noqa: PLC0415 (help is quick)

    anyio.run(print_transfers, _settings(state_dir), limit, state, as_json)


@ledger.command()
def show(
    transfer_id: Annotated[str, typer.Argument(metavar="ID", help="Of the transfer.")],
    state_dir: _StateDir = None,
) -> None:
    """Tell the life of one transfer: each event, where it stands, and what is next."""
    from chimera_s1.app.cli.ledger.show import print_timeline  # noqa: PLC0415 (help is quick)

    anyio.run(print_timeline, _settings(state_dir), parse_transfer_id(transfer_id))


@ledger.command()
def verify(
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH",
            help="What an earlier verify printed. Without one, a ledger whose last commits were "
            "cut off is as good as any.",
        ),
    ] = None,
    state_dir: _StateDir = None,
) -> None:
    """Walk the whole ledger and prove that each commit is what was written, and follows the one
    before it.

    Prints an anchor at the end: keep it on another machine. Exit code 1 where the ledger is
    damaged, with the place. Every event on ops:events carries an anchor too: its position and hash.
    """
    from chimera_s1.app.capabilities.ledger.verifier import parse_anchor  # noqa: PLC0415 (the same)
    from chimera_s1.app.cli.ledger.verify import verify_ledger  # noqa: PLC0415 (help is quick)

    remembered = None if anchor is None else parse_anchor(anchor)
    anyio.run(verify_ledger, _settings(state_dir), remembered)


@ledger.command()
def export(
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="A new file; - for standard output."),
    ] = "-",
    state_dir: _StateDir = None,
) -> None:
    """Copy the ledger as JSON Lines: a commit a line, canonical (sorted names, no white space),
    proven on the way.

    A line's hash is the SHA-256 of the line without its "hash" member.
    """
    from chimera_s1.app.cli.ledger.verify import export_ledger  # noqa: PLC0415 (help is quick)

    anyio.run(export_ledger, _settings(state_dir), None if output == "-" else Path(output))


@ledger.command()
def rebuild(state_dir: _StateDir = None) -> None:
    """Throw treasury_transfers away and make it again from the ledger, which is proven first.

    With SQLite the service has to be stopped meanwhile.
    """
    from chimera_s1.app.cli.ledger.verify import rebuild_transfers  # noqa: PLC0415 (help is quick)

    anyio.run(rebuild_transfers, _settings(state_dir))


def _settings(state_dir: Path | None) -> Settings:
    named = {} if state_dir is None else {"S1_STATE_DIR": str(state_dir)}
    return load_settings({**os.environ, **named})
