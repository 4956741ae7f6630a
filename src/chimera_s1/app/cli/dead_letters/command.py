"""`chimera-s1 dead-letters`: what could not be delivered, and delivering it again."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import JsonArrayOption, StateDirOption, settings_with

dead_letters = typer.Typer(
    no_args_is_help=True,
    help="Show, replay or delete what a running service could not deliver.",
)

_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
]
_LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the letter, see dead-letters list.")
]


@dead_letters.command("list")
def list_letters(
    as_json: JsonArrayOption = False, url: _Url = None, state_dir: StateDirOption = None
) -> None:
    """List all dead letters: those in Redis, then those in the store.

    Needs S1_TOKEN with the scope read (and S1_URL), or a demo running on this
    machine.

    Exit codes: 0 all are listed; 1 a place cannot be read, which is said;
    2 wrong arguments or settings.
    """
    from chimera_s1.app.cli.dead_letters.run import print_letters  # noqa: PLC0415 (help is quick)

    if not anyio.run(print_letters, settings_with(state_dir), url, as_json):
        raise typer.Exit(1)


@dead_letters.command("show")
def show_letter(letter_id: _LetterId, url: _Url = None, state_dir: StateDirOption = None) -> None:
    """Print a letter with its payload. Needs a token with the scope read."""
    from chimera_s1.app.cli.dead_letters.run import print_letter  # noqa: PLC0415 (help is quick)

    anyio.run(print_letter, settings_with(state_dir), url, letter_id)


@dead_letters.command("replay")
def replay_letter(letter_id: _LetterId, url: _Url = None, state_dir: StateDirOption = None) -> None:
    """Deliver a letter again and delete it. Do it after the cause is repaired.

    Needs a token with the scope jobs:run. The receiver recognizes what it has,
    so a repeated replay does no harm.

    Exit codes: 0 delivered; 1 not delivered, the letter stays; 2 wrong
    arguments or settings, or no such letter.
    """
    from chimera_s1.app.cli.dead_letters.run import replay  # noqa: PLC0415 (help is quick)

    anyio.run(replay, settings_with(state_dir), url, letter_id)


@dead_letters.command("drop")
def drop_letter(letter_id: _LetterId, url: _Url = None, state_dir: StateDirOption = None) -> None:
    """Delete a letter without delivering it.

    Needs a token with the scope jobs:run. ops:events records the deletion
    and the actor.
    """
    from chimera_s1.app.cli.dead_letters.run import drop  # noqa: PLC0415 (help is quick)

    anyio.run(drop, settings_with(state_dir), url, letter_id)
