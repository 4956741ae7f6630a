"""`chimera-s1 drill`: inject faults into a running demo and measure its recovery."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import (
    JsonArrayOption,
    StateDirOption,
    settings_with_redis,
)


def _complete_scenario(incomplete: str) -> list[str]:
    from chimera_s1.app.cli.drill.scenarios import DRILLS  # noqa: PLC0415 (help is quick)

    return [each.name for each in DRILLS if each.name.startswith(incomplete)]


def drill(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]...", help="Default: all.", autocompletion=_complete_scenario
        ),
    ] = None,
    *,
    list_them: Annotated[
        bool, typer.Option("--list", help="List the scenarios with their targets, and exit.")
    ] = False,
    as_json: JsonArrayOption = False,
    state_dir: StateDirOption = None,
    url: Annotated[
        str | None, typer.Option(help="The service. Default: the demo's.", metavar="URL")
    ] = None,
    sim: Annotated[
        str | None,
        typer.Option(help="The simulator's control plane. Default: the demo's.", metavar="URL"),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(help="Cluster nodes. Default: the demo's.", metavar="HOST:PORT,..."),
    ] = None,
) -> None:
    """Inject faults into a running demo: measure detection, recovery and loss.

    Each scenario states its targets; the exit code is 1 when one is missed.
    The market is sped up so that every instrument has a quote a second, and
    set back at the end.

        chimera-s1 drill disconnect half-open
    """
    from chimera_s1.app.cli.drill.run import (  # noqa: PLC0415 (help is quick)
        DrillOptions,
        list_drills,
        run_drills,
    )

    if list_them:
        list_drills(as_json=as_json)
        return
    options = DrillOptions(tuple(scenarios or ()), as_json, url, sim, redis)
    if not anyio.run(run_drills, settings_with_redis(state_dir, redis), options):
        raise typer.Exit(1)
