"""`chimera-s1 ledger`: read, verify, copy the treasury ledger; claim its account."""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import JsonArrayOption, StateDirOption, settings_with
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.treasury.transfer import TransferStatus

_LIMIT = 20
_LIMIT_MAX = 1_000_000

ledger = typer.Typer(
    no_args_is_help=True,
    help="Read, verify and copy the treasury ledger.\n\n"
    "All but rebuild and take-account are read-only; all but rebuild work beside\n"
    "a running service. The ledger is at S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH,\n"
    "else in the state directory.",
)


@ledger.command("list")
def list_transfers(
    state: Annotated[
        TransferStatus | None,
        typer.Option(case_sensitive=False, help="Only transfers in this state."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=_LIMIT_MAX, metavar="N", help="At most N transfers.")
    ] = _LIMIT,
    as_json: JsonArrayOption = False,
    state_dir: StateDirOption = None,
) -> None:
    """List the newest transfers, each computed from its own events.

    A table in a terminal; elsewhere one line each, separated by tabs: time,
    id, from, to, amount, state, actor, message.
    """
    from chimera_s1.app.cli.ledger.show import print_transfers  # noqa: PLC0415 (help is quick)

    anyio.run(print_transfers, settings_with(state_dir), limit, state, as_json)


@ledger.command()
def show(
    transfer_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the transfer.")],
    state_dir: StateDirOption = None,
) -> None:
    """Show one transfer: each event, the current state, and the next step."""
    from chimera_s1.app.cli.ledger.show import print_timeline  # noqa: PLC0415 (help is quick)

    anyio.run(print_timeline, settings_with(state_dir), parse_transfer_id(transfer_id))


@ledger.command()
def verify(
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH",
            help="Printed by an earlier verify. Without one, missing last commits go unnoticed.",
        ),
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Verify the hash chain of the whole ledger: each commit unchanged and in order.

    Prints an anchor at the end: keep it on another machine. A damaged ledger
    gives exit code 1 and names the commit. Every event on ops:events carries
    an anchor too: its seq and hash.
    """
    from chimera_s1.app.capabilities.ledger.verifier import parse_anchor  # noqa: PLC0415 (help is quick)
    from chimera_s1.app.cli.ledger.verify import verify_ledger  # noqa: PLC0415 (help is quick)

    earlier = None if anchor is None else parse_anchor(anchor)
    anyio.run(verify_ledger, settings_with(state_dir), earlier)


@ledger.command()
def export(
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="A new file; - for standard output."),
    ] = "-",
    state_dir: StateDirOption = None,
) -> None:
    """Copy the ledger as JSON Lines, one commit a line, verified on the way.

    Lines are canonical JSON: sorted names, no white space. A line's hash is
    the SHA-256 of the line without its "hash" member.
    """
    from chimera_s1.app.cli.ledger.verify import export_ledger  # noqa: PLC0415 (help is quick)

    anyio.run(export_ledger, settings_with(state_dir), None if output == "-" else Path(output))


@ledger.command()
def rebuild(state_dir: StateDirOption = None) -> None:
    """Verify the ledger, then delete treasury_transfers and rebuild it from the ledger.

    With SQLite, stop the service first.
    """
    from chimera_s1.app.cli.ledger.verify import rebuild_transfers  # noqa: PLC0415 (help is quick)

    anyio.run(rebuild_transfers, settings_with(state_dir))


@ledger.command("take-account")
def take_account(
    assume_yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    accept_missing: Annotated[
        bool,
        typer.Option(
            "--accept-missing-commits",
            help="Take it although the ledger is an old backup or a copy.",
        ),
    ] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Claim the exchange account for this ledger, whichever ledger claims it now.

    One ledger at a time sends transfers of an account. Use this after moving to
    another ledger, after restoring a backup, and to confirm a new ledger of an
    account that was used by hand. Works beside a running service, with its
    settings: exchange key, Redis, ledger.
    """
    from chimera_s1.app.cli.ledger.take_account import take_account as take  # noqa: PLC0415 (help is quick)

    anyio.run(partial(take, state_dir, assume_yes=assume_yes, accept_missing=accept_missing))
