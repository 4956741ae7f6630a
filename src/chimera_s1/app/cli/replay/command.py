"""`chimera-s1 replay`: a market data file onto the streams."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from chimera_s1.app.settings.settings import load_settings
from chimera_s1.domain.errors import ConfigurationError

FASTEST = "max"


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="What chimera-s1 record wrote: JSON Lines, plain, .gz or .zst.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    speed: Annotated[
        str,
        typer.Option(metavar="N|max", help="Recorded seconds a second; max does not wait."),
    ] = "1",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Pass over damaged lines and count them.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep an embedded Redis up until Ctrl-C.")
    ] = False,
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="Cluster nodes. Default: S1_REDIS_ADDRESSES, else what runs in the state "
            "directory, else an embedded one.",
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Default: S1_STATE_DIR, else .chimera."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as one JSON line.")
    ] = False,
) -> None:
    """Replay a market data file onto the Redis Streams, by the same decoders and windows as live.

    Windows (S1_CONFLATION_MS) follow the file's own times: the same file gives the same entries
    at any speed, and the same digest at the end. A damaged file is refused before anything is
    written, with the line and the reason.

        chimera-s1 replay btc.jsonl.zst --speed max
    """
    from chimera_s1.app.cli.replay.run import ReplayPlan, replay_file  # noqa: PLC0415 (help is quick)

    settings = load_settings(
        {**os.environ, **({} if state_dir is None else {"S1_STATE_DIR": str(state_dir)})}
    )
    plan = ReplayPlan(
        file,
        speed=parse_speed(speed),
        skip_bad=skip_bad,
        hold=hold,
        redis=redis,
        as_json=as_json,
    )
    anyio.run(replay_file, settings, plan, backend_options={"use_uvloop": True})


def parse_speed(text: str) -> float | None:
    """Read `60` or `max` (None).

    Raises:
        ConfigurationError: It is neither a number above 0 nor max.
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
