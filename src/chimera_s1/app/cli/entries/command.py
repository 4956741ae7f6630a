"""`chimera-s1 entries`: what was entered, how it went, and cancelling it."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import JsonArrayOption, StateDirOption, settings_with
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import Venue

entries = typer.Typer(
    no_args_is_help=True,
    help="Show the entries of a running service, or cancel one.\n\n"
    "Asks the service: S1_URL and S1_TOKEN, else the demo's.",
)

_LIMIT, _LIMIT_MAX = 50, 500
_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="Key of the entry, see entries list.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print the body of the reply.")]


@entries.command("list")
def list_entries(
    *,
    venue: Annotated[
        Venue | None, typer.Option(help="Only this venue.", case_sensitive=False)
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Only this symbol, like BTCUSDT.")
    ] = None,
    state: Annotated[
        EntryStatus | None,
        typer.Option(
            metavar="STATE", help="Only this state, like PROTECTED.", case_sensitive=False
        ),
    ] = None,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that have not ended.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=_LIMIT_MAX, metavar="N", help="At most N entries.")
    ] = _LIMIT,
    as_json: JsonArrayOption = False,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """List entries, the newest first: every open one, and the newest that ended.

    A table in a terminal; elsewhere one line each, separated by tabs: accepted,
    key, venue, symbol, side, state, filled, protected, closed, ms without
    protection, what comes next, message. Needs a token with the scope read.
    """
    from chimera_s1.app.cli.entries.run import EntryFilter, print_entries  # noqa: PLC0415

    wanted = EntryFilter(venue, symbol, state, only_open, limit)
    anyio.run(print_entries, settings_with(state_dir), url, wanted, as_json)


@entries.command("show")
def show_entry(
    key: _Key, as_json: _AsJson = False, url: _Url = None, state_dir: StateDirOption = None
) -> None:
    """Print the timeline of an entry: what happened, when, and what comes next.

    Needs a token with the scope read.

    Exit codes: 0 printed; 1 the service cannot answer now; 2 wrong arguments
    or settings, or no such entry.
    """
    from chimera_s1.app.cli.entries.run import print_entry  # noqa: PLC0415 (help is quick)

    anyio.run(print_entry, settings_with(state_dir), url, key, as_json)


@entries.command("cancel")
def cancel_entry(
    *,
    key: _Key,
    disarm: Annotated[
        bool, typer.Option("--disarm", help="Cancel its protection, too; asks before it does.")
    ] = False,
    assume_yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: _AsJson = False,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Cancel what is not filled of an entry, and print its state.

    What is filled stays protected. With --disarm stop, OCO and guard go, too:
    then the position is yours. The service stores the request and carries it
    out; entries show tells how. Needs a token with the scope orders:trade.

    Exit codes: 0 stored, or nothing is left to cancel; 1 the service cannot
    answer now, the same command may be repeated; 2 wrong arguments or
    settings, or no such entry.
    """
    from chimera_s1.app.cli.entries.run import cancel_and_print  # noqa: PLC0415 (help is quick)

    if disarm and not assume_yes:
        typer.confirm("Leave what this entry holds without protection?", abort=True)
    anyio.run(cancel_and_print, settings_with(state_dir), url, key, disarm, as_json)
