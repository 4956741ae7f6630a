"""`chimera-s1 ledger`: read and verify the ledgers, copy the treasury's, claim its account."""

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
    help="Read and verify the treasury and execution ledgers.\n\n"
    "All but rebuild and take-account are read-only; all but rebuild work beside\n"
    "a running service. The ledgers are at S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH,\n"
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


@ledger.command("orders")
def list_orders(
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that have not ended.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=_LIMIT_MAX, metavar="N", help="At most N orders.")
    ] = _LIMIT,
    as_json: JsonArrayOption = False,
    state_dir: StateDirOption = None,
) -> None:
    """List the newest orders of the execution ledger, each computed from its own events.

    A table in a terminal; elsewhere one line each, separated by tabs: time,
    client id, venue, symbol, side, terms, filled, state, status, entry id, actor,
    message. Orders of others are not in it: see GET /xchg/orders/open.
    """
    from chimera_s1.app.cli.ledger.orders import print_orders  # noqa: PLC0415 (help is quick)

    anyio.run(print_orders, settings_with(state_dir), limit, only_open, as_json)


@ledger.command("order")
def show_order(
    client_id: Annotated[
        str, typer.Argument(metavar="CLIENT_ID", help="Client order id of the order.")
    ],
    state_dir: StateDirOption = None,
) -> None:
    """Show one order: each of its events and trades, and its state."""
    from chimera_s1.app.cli.ledger.orders import print_order  # noqa: PLC0415 (help is quick)

    anyio.run(print_order, settings_with(state_dir), client_id)


@ledger.command()
def verify(
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH",
            help="Printed by an earlier verify. Without one, missing last commits go unnoticed.",
        ),
    ] = None,
    execution_anchor: Annotated[
        str | None,
        typer.Option(metavar="SEQ:HASH", help="The same of the execution ledger."),
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Verify the hash chains of the whole treasury and execution ledgers.

    Each commit must be unchanged and in order. Prints an anchor of each at the
    end: keep them on another machine. A damaged ledger gives exit code 1 and
    names the commit. Every treasury event on ops:events carries an anchor too:
    its seq and hash.
    """
    from chimera_s1.app.capabilities.ledger.verifier import parse_anchor  # noqa: PLC0415 (help is quick)
    from chimera_s1.app.cli.ledger.verify import verify_ledgers  # noqa: PLC0415 (help is quick)

    earlier = None if anchor is None else parse_anchor(anchor)
    of_execution = None if execution_anchor is None else parse_anchor(execution_anchor)
    anyio.run(verify_ledgers, settings_with(state_dir), earlier, of_execution)


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
