"""`chimera-s1 funding`: backfill the funding history, and show what is missing of it."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with
from chimera_s1.app.cli.shared.output import print_status
from chimera_s1.domain.errors import ChimeraError

funding = typer.Typer(
    no_args_is_help=True, help="Show, complete and verify the stored funding history."
)

_NOT_KNOWN = 2
_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
]


@funding.command()
def backfill(
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Days before now.")],
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Have the service read the funding history of the last N days, and wait.

    Newest days first; stored history stays. The service remembers the request,
    also after kill -9: run the command again to see how far it is. Needs
    S1_TOKEN with the scopes jobs:run and read (and S1_URL), or a demo running
    on this machine.

    Exit codes: 0 all is read; 1 the service does not answer or refuses; 2 wrong
    arguments or settings; 130 Ctrl-C, the service goes on.
    """
    from chimera_s1.app.cli.funding.backfill import backfill_and_wait  # noqa: PLC0415 (help is quick)

    settings = settings_with(state_dir)
    try:
        anyio.run(backfill_and_wait, settings, url, days)
    except KeyboardInterrupt:
        print_status("The service goes on with the backfill; run this again to see its progress.")
        raise


@funding.command()
def gaps(
    symbol: Annotated[
        str | None, typer.Option("--symbol", metavar="SYMBOL", help="Only this contract.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Print what is missing of the funding history, and what is disputed.

    Needs S1_TOKEN with the scope read (and S1_URL), or a demo running on this
    machine.

    Exit codes: 0 no gaps; 1 some; 2 not known: nothing is verified yet, the
    service does not answer, or the arguments are wrong. Disputed records are
    printed; they are no gaps.
    """
    from chimera_s1.app.cli.funding.gaps import print_gaps  # noqa: PLC0415 (help is quick)

    try:
        code = anyio.run(print_gaps, settings_with(state_dir), url, symbol, as_json)
    except ChimeraError as error:
        print_status(f"error: {error}")
        code = _NOT_KNOWN
    raise typer.Exit(code)
