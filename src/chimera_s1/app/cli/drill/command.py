"""`chimera-s1 drill`: break a running demo on purpose and see what becomes of it."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer


def drill(
    scenarios: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="Which. Default: all.")
    ] = None,
    *,
    list_them: Annotated[
        bool, typer.Option("--list", help="Name the scenarios with their targets, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = (
        False
    ),
    state_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of the demo. Default: S1_STATE_DIR, else .chimera."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Of the service. Default: the demo's.", metavar="URL")
    ] = None,
    sim: Annotated[
        str | None,
        typer.Option(help="Of the simulator's control plane. Default: the demo's.", metavar="URL"),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(help="Cluster nodes. Default: the demo's.", metavar="HOST:PORT,..."),
    ] = None,
) -> None:
    """Break a running demo on purpose: when is it noticed, when is it over, what was lost?

    Each scenario has stated targets. Exit code 1 where one is missed. The market is made lively
    enough to be counted, and set back at the end.

        chimera-s1 drill disconnect half-open
    """
    from chimera_s1.app.cli.drill.run import DrillOptions, list_drills, run_drills  # noqa: PLC0415 (help is quick)

    if list_them:
        list_drills(as_json=as_json)
        return
    options = DrillOptions(tuple(scenarios or ()), as_json, state_dir, url, sim, redis)
    if not anyio.run(run_drills, os.environ, options):
        raise typer.Exit(1)
