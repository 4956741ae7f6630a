"""`chimera-s1 replay`: publish a market data file on the streams."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import StateDirOption, settings_with_redis
from chimera_s1.domain.errors import ConfigurationError

FASTEST = "max"


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="A file of chimera-s1 record: JSON Lines, plain, .gz or .zst.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    speed: Annotated[
        str,
        typer.Option(metavar="N|max", help="Recorded seconds per second; max does not wait."),
    ] = "1",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip damaged lines and count them.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep an embedded Redis running until Ctrl-C.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            "--redis",
            metavar="HOST:PORT,...",
            help="Nodes of the cluster to write to. Default: an embedded one of its own.",
        ),
    ] = None,
    rebase: Annotated[
        bool,
        typer.Option(
            "--rebase", help="Move the file's times to now; refused where a service publishes."
        ),
    ] = False,
    state_dir: StateDirOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON line.")
    ] = False,
) -> None:
    """Publish a market data file on Redis Streams, decoded and conflated as if live.

    Windows (S1_CONFLATION_MS) follow the times in the file: the same file gives
    the same entries and the same digest at any speed. Before anything is
    written, a damaged file is refused, and so is one whose streams already
    hold newer entries.

        chimera-s1 replay btc.jsonl.zst --speed max
    """
    from chimera_s1.app.cli.replay.run import ReplayPlan, replay_file  # noqa: PLC0415 (help is quick)

    settings = settings_with_redis(state_dir, into)
    plan = ReplayPlan(
        file,
        speed=parse_speed(speed),
        skip_bad=skip_bad,
        hold=hold,
        into=into,
        rebase=rebase,
        as_json=as_json,
    )
    anyio.run(replay_file, settings, plan, backend_options={"use_uvloop": True})


def parse_speed(text: str) -> float | None:
    """A factor like `60`, or None for `max`.

    Raises:
        ConfigurationError: It is neither.
    """
    if text == FASTEST:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigurationError(f"--speed {text}: write a number above 0, like 1 or 60, or max")
    return speed
