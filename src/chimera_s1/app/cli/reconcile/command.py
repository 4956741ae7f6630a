"""`chimera-s1 reconcile`: compare the account with the execution ledger now."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with


def reconcile(
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The service. Default: S1_URL, else the demo's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the body of the reply.")] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Compare open orders, positions and balances with what the service knows.

    Prints what matched, what was repaired, what is foreign and what still
    differs. Orders of ours are brought up to date; nothing is placed or
    cancelled. Needs S1_TOKEN with the scope orders:trade.

    Exit codes: 0 everything agrees; 1 something differs or could not be read;
    2 wrong arguments or settings.
    """
    from chimera_s1.app.cli.reconcile.run import reconcile_and_print  # noqa: PLC0415 (help is quick)

    if not anyio.run(reconcile_and_print, settings_with(state_dir), url, as_json):
        raise typer.Exit(1)
