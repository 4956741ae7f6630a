"""`chimera-s1 mode`: show the trading mode and the kill switch; halt and resume trading."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with

mode = typer.Typer(
    invoke_without_command=True,
    help="Show what may be spent, and why not; halt and resume trading.\n\n"
    "Asks a running service: S1_URL and S1_TOKEN, else the demo's. Without a\n"
    "command it shows.",
)

UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="The service. Default: S1_URL, else the demo's.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the body of the reply.")]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why: stored with the change, and on ops:events.")
]


@mode.callback()
def show_by_default(
    context: typer.Context,
    url: UrlOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = None,
) -> None:
    if context.invoked_subcommand is None:
        show(url, as_json, state_dir)


@mode.command()
def show(
    url: UrlOption = None, as_json: JsonOption = False, state_dir: StateDirOption = None
) -> None:
    """Show the mode, the kill switch, why, since when, and what is refused."""
    from chimera_s1.app.cli.mode.run import show_mode  # noqa: PLC0415 (help is quick)

    anyio.run(show_mode, settings_with(state_dir), url, as_json)


@mode.command()
def halt(
    reason: ReasonOption,
    url: UrlOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = None,
) -> None:
    """Refuse transfers and new entries, on all instances, until `mode resume`.

    Stops, closes, cancels and reconciliation go on. It survives restarts.
    Needs a token with the scope mode:halt.

        chimera-s1 mode halt --reason "unexplained fills, looking"
    """
    from chimera_s1.app.cli.mode.run import set_halt  # noqa: PLC0415 (help is quick)

    anyio.run(set_halt, settings_with(state_dir), "halt", reason, url, as_json)


@mode.command()
def resume(
    reason: ReasonOption,
    url: UrlOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = None,
) -> None:
    """End a halt. The kill switch is another thing: only Redis changes it.

    chimera-s1 mode resume --reason "fills explained, case 4711"
    """
    from chimera_s1.app.cli.mode.run import set_halt  # noqa: PLC0415 (help is quick)

    anyio.run(set_halt, settings_with(state_dir), "resume", reason, url, as_json)
